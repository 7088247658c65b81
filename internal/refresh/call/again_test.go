// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// TestWhatWasNotAnsweredIsUnknownUnlessItWasNotSent tells apart what the one claim of a token
// hangs on.
func TestWhatWasNotAnsweredIsUnknownUnlessItWasNotSent(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		err          error
		unknown      bool
		problem      string
	}{
		{"the connection was cut", "the provider may have seen the token", errors.New("connection reset"), true, ""},
		{"the policy forbids the host", "nothing left the process", fmt.Errorf("no: %w", egress.ErrDenied), false, v1alpha1.EgressDeniedReason},
		{"no connection was made", "nothing left the process", fmt.Errorf("no: %w", egress.ErrNotSent), false, v1alpha1.ProviderUnavailableReason},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			err := unanswered(each.err)
			if IsUnknown(err) != each.unknown {
				t.Errorf("its outcome is unknown: %t, want %t\nreason: %s", IsUnknown(err), each.unknown, each.reason)
			}
			if each.problem != "" && !problem.Is(err, each.problem) {
				t.Errorf("it is told as %v, want %s", err, each.problem)
			}
			if !errors.Is(err, each.err) && each.unknown {
				t.Errorf("%v does not say why", err)
			}
		})
	}
}

func TestACallThatMustWaitIsMadeAgainThen(t *testing.T) {
	t.Parallel()
	later := noon.Add(time.Minute)
	for _, each := range []struct {
		name string
		err  error
		want time.Time
	}{
		{"for a slot or an allowance", fmt.Errorf("wait: %w", &problem.Pause{Until: later}), later},
		{"for nothing that has a time", errors.New("no"), noon},
	} {
		if got := nextTry(each.err, noon); !got.Equal(each.want) {
			t.Errorf("%s: at %s, want %s", each.name, got, each.want)
		}
		if err := error(answered{each.err}); !WasAnswered(fmt.Errorf("it: %w", err)) || !errors.Is(err, each.err) {
			t.Errorf("%s: that the provider has answered is not told by %v", each.name, err)
		}
		if WasAnswered(each.err) {
			t.Errorf("%s: what stands before a call counts as an answer", each.name)
		}
	}
}
