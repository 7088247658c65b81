// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	t.Parallel()
	fresh := facts{now: noon, hasToken: true, due: noon.Add(time.Minute), recovery: rotation.Nothing}
	expired := facts{now: noon, hasToken: true, due: noon.Add(-time.Minute), recovery: rotation.Nothing}
	with := func(f facts, change func(*facts)) facts { change(&f); return f }
	cases := map[string]struct {
		reason string
		facts  facts
		want   decision
	}{
		"a fresh token":             {"nothing calls for another", fresh, rest},
		"a fresh token, new inputs": {"an input that changed is no reason while the token is fresh", with(fresh, func(f *facts) { f.changed = true }), rest},
		"due this very moment":      {"the moment itself counts", with(fresh, func(f *facts) { f.due = f.now }), call},
		"past due":                  {"a late renewal is made at once", expired, call},
		"no token yet":              {"the first one is asked for at once", facts{now: noon, recovery: rotation.Nothing}, call},
		"asked for":                 {"tokenkeeper.io/refreshAt asks for one call", with(fresh, func(f *facts) { f.requested = true }), call},
		"a new seed":                {"the user has authorized again", with(fresh, func(f *facts) { f.seedIsNew = true }), call},
		"another source":            {"the token was asked with other parameters", with(fresh, func(f *facts) { f.sourceChanged = true }), call},
		"a drifted target without a kept token": {
			"there is no other copy to mend it from", with(fresh, func(f *facts) { f.targetNeedsOne = true }), call,
		},
		"backing off":                                        {"a failure is not tried again before its time", with(expired, func(f *facts) { f.retryAt = noon.Add(time.Second) }), waitForRetry},
		"the backoff has passed":                             {"then it is", with(expired, func(f *facts) { f.retryAt = noon }), call},
		"backing off, an input changed":                      {"what changed may be the cure", with(expired, func(f *facts) { f.retryAt, f.changed = noon.Add(time.Hour), true }), call},
		"backing off, asked for":                             {"a person wants it now", with(expired, func(f *facts) { f.retryAt, f.requested = noon.Add(time.Hour), true }), call},
		"stalled":                                            {"a person must act, and has not", with(expired, func(f *facts) { f.stalled = true }), stayStalled},
		"stalled, an input changed":                          {"a person has acted", with(expired, func(f *facts) { f.stalled, f.changed = true, true }), call},
		"stalled, but fresh":                                 {"what needs a person goes on needing one", with(fresh, func(f *facts) { f.stalled = true }), stayStalled},
		"stalled, but fresh, and corrected":                  {"what a person changed is tried at once", with(fresh, func(f *facts) { f.stalled, f.corrected, f.changed = true, true, true }), call},
		"another process is at it":                           {"one call, whoever makes it", with(expired, func(f *facts) { f.recovery = rotation.Wait }), waitForHolder},
		"another process is at it, asked for":                {"even then", with(expired, func(f *facts) { f.recovery, f.requested = rotation.Wait, true }), waitForHolder},
		"an unknown outcome":                                 {"the token may be spent", with(expired, func(f *facts) { f.recovery = rotation.Unknown }), holdUnknown},
		"an unknown outcome, asked for":                      {"refreshAt never overrides it", with(expired, func(f *facts) { f.recovery, f.requested = rotation.Unknown, true }), holdUnknown},
		"an unknown outcome, an input changed":               {"only a new seed or a policy does", with(expired, func(f *facts) { f.recovery, f.changed = rotation.Unknown, true }), holdUnknown},
		"an unknown outcome, and a new seed":                 {"the old token does not matter any more", with(expired, func(f *facts) { f.recovery, f.seedIsNew, f.changed = rotation.Unknown, true, true }), call},
		"an outcome that may be tried again":                 {"inside the window, or as the one retry", with(expired, func(f *facts) { f.recovery, f.stalled, f.changed = rotation.Resend, true, true }), call},
		"an unknown outcome while it is fresh":               {"it is told at once, not when the token has expired", with(fresh, func(f *facts) { f.recovery = rotation.Unknown }), holdUnknown},
		"a state that is a copy":                             {"its token may have been spent since the copy was made", with(expired, func(f *facts) { f.restored = true }), holdRestored},
		"a state that is a copy, asked for":                  {"even then", with(expired, func(f *facts) { f.restored, f.requested, f.changed = true, true, true }), holdRestored},
		"a copy with an attempt":                             {"a copy never sends again", with(expired, func(f *facts) { f.restored, f.recovery = true, rotation.Resend }), holdRestored},
		"a copy, and a new seed":                             {"the copy's token does not matter any more", with(expired, func(f *facts) { f.restored, f.seedIsNew = true, true }), call},
		"a failure while it is fresh":                        {"what was asked for is tried again, and the failure is not forgotten", with(fresh, func(f *facts) { f.failed, f.retryAt = true, noon.Add(time.Second) }), waitForRetry},
		"a failure while it is fresh, and its pause is over": {"then it is made", with(fresh, func(f *facts) { f.failed, f.retryAt = true, noon }), call},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := decide(c.facts); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}
