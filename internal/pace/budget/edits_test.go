// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/test/faults"

	"github.com/tokenkeeper/tokenkeeper/internal/pace/sweep"
)

func TestEdits(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		at     []time.Duration // of attempts, after noon
		want   time.Duration   // to wait for the last of them
	}{
		"the first":                       {"who corrects a mistake sees at once whether it helped", []time.Duration{0}, 0},
		"the third in a second":           {"a person may err again", []time.Duration{0, 1, 2}, 0},
		"the fourth in a second":          {"a script may not evade the backoff", []time.Duration{0, 0, 0, 0}, editInterval},
		"the fourth, some seconds later":  {"what has passed counts", []time.Duration{0, 0, 0, 4 * time.Second}, editInterval - 4*time.Second},
		"the fourth, in vain before":      {"what was not granted is not charged", []time.Duration{0, 0, 0, 1, 2, 3, editInterval}, 0},
		"the fourth, an hour later":       {"the bucket is full again", []time.Duration{0, 0, 0, time.Hour}, 0},
		"the fourth of an hour's pause":   {"it holds no more than the burst", []time.Duration{0, time.Hour, time.Hour, time.Hour, time.Hour}, editInterval},
		"one every ten seconds, for long": {"that is as fast as a person edits", []time.Duration{0, editInterval, 2 * editInterval, 3 * editInterval, 4 * editInterval}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edits, wait := &Edits{}, time.Duration(0)
			for _, at := range c.at {
				wait = edits.Take(credential(1), noon.Add(at))
			}
			if wait.Round(time.Millisecond) != c.want {
				t.Errorf("%s: the wait is %s, want %s", c.reason, wait, c.want)
			}
		})
	}
}

func TestOneCredentialsEditsCostNoOther(t *testing.T) {
	t.Parallel()
	edits, elsewhere := &Edits{}, credential(1)
	elsewhere.Namespace = "elsewhere"
	for range 10 {
		edits.Take(credential(1), noon)
	}
	if wait := edits.Take(elsewhere, noon); wait != 0 {
		t.Errorf("a namesake in another namespace waits %s", wait)
	}
}

// TestACredentialThatIsDeletedAndMadeAgainEvadesNothing is the attack: a script makes the
// same credential again and again, which has no backoff each time.
func TestACredentialThatIsDeletedAndMadeAgainEvadesNothing(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a credential deleted and made again, again and again")
	edits, granted := &Edits{}, 0
	for n := range 100 {
		now := noon.Add(time.Duration(n) * 100 * time.Millisecond)
		if edits.TakeFirst(credential(1), now) == 0 {
			granted++
		}
		edits.Deleted(credential(1), now)
	}
	if most := 1 + editBurst; granted > most {
		t.Errorf("%d attempts within ten seconds, want at most %d", granted, most)
	}
}

func TestNewCredentialsWaitForNothingAndLeaveNothing(t *testing.T) {
	t.Parallel()
	edits := &Edits{}
	for n := range 1000 {
		if wait := edits.TakeFirst(credential(n), noon); wait != 0 {
			t.Fatalf("the first attempt of a new credential waits %s", wait)
		}
	}
	if len(edits.buckets) > 0 {
		t.Errorf("%d buckets are kept: each credential would cost memory", len(edits.buckets))
	}
	for n := range 1000 {
		edits.Deleted(credential(n), noon)
	}
	edits.Tick(noon.Add(sweep.Every))
	if len(edits.buckets) > 0 {
		t.Errorf("%d buckets of what was deleted are kept for ever", len(edits.buckets))
	}
}

func TestFullBucketsAreForgotten(t *testing.T) {
	t.Parallel()
	edits := &Edits{}
	for n := range 1000 {
		edits.Take(credential(n), noon)
	}
	edits.Take(credential(0), noon.Add(time.Hour))
	if got := len(edits.buckets); got != 1 {
		t.Errorf("%d buckets are kept, want the one in use", got)
	}
}

func TestNoScriptGetsMoreThanTheBucketHolds(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an edit, again and again")
	rapid.Check(t, func(t *rapid.T) {
		edits, now, granted := &Edits{}, noon, 0
		for range rapid.IntRange(1, 300).Draw(t, "edits") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "pause")))
			if edits.Take(credential(1), now) == 0 {
				granted++
			}
		}
		if most := editBurst + int(now.Sub(noon)/editInterval); granted > most {
			t.Fatalf("%d attempts within %s, want at most %d", granted, now.Sub(noon), most)
		}
	})
}
