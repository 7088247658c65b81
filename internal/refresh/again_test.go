// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// withNonce is the provider of the scene that wants a nonce of its own in each request.
func withNonce(described string) string {
	return strings.NewReplacer(
		`refresh_token: "${refreshToken}"`, `refresh_token: "${refreshToken}", nonce: "${outputs.?nonce}", id: "${uuid()}"`,
		`failures:`, `failures:
    - {when: body.error == "use_dpop_nonce", reason: SendAgain, outputs: {nonce: body.nonce}}`,
	).Replace(described)
}

func wantsNonce(nonce string) func() (*egress.Reply, error) {
	return replies(http.StatusBadRequest, `{"error": "use_dpop_nonce", "nonce": "`+nonce+`"}`)
}

func TestACallIsSentAgainWithWhatItsReplyBrought(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		provider     string
		answers      []func() (*egress.Reply, error)
		want         string
		nonces       []string
		claimed      bool
		live         string
	}{
		{"a nonce is wanted", "nothing was spent, so the same token is sent under the same claim", singleUse,
			[]func() (*egress.Reply, error){wantsNonce("n1"), rotates(second)}, "", []string{"", "n1"}, false, second},
		{"of a token that works again", "it is the same call", reusable,
			[]func() (*egress.Reply, error){wantsNonce("n1"), rotates(second)}, "", []string{"", "n1"}, false, second},
		{"another nonce is wanted", "once a visit is enough: a server that never has enough is not asked for ever", singleUse,
			[]func() (*egress.Reply, error){wantsNonce("n1"), wantsNonce("n2")}, v1alpha1.RequestRejectedReason, []string{"", "n1"}, false, seed},
		{"the second has no answer", "that one may have spent the token", singleUse,
			[]func() (*egress.Reply, error){wantsNonce("n1"), breaksOff()}, v1alpha1.OutcomeUnknownReason, []string{"", "n1"}, true, seed},
		{"the second cannot be sent", "nothing was spent", singleUse,
			[]func() (*egress.Reply, error){wantsNonce("n1"), fails(egress.ErrNotSent)}, v1alpha1.ProviderUnavailableReason, []string{"", "n1"}, false, seed},
		{"the second is refused", "its reason is its own", singleUse,
			[]func() (*egress.Reply, error){wantsNonce("n1"), refuses("invalid_client")}, v1alpha1.AppRejectedReason, []string{"", "n1"}, false, seed},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			faults.Shows(t, "a provider that wants a nonce of its own")
			s := newScene(t, withNonce(each.provider))
			s.provider.answer(each.answers...)
			_, err := s.renew(t.Context())
			if got := reasonOf(err); got != each.want {
				t.Errorf("it ends with %q (%v), want %q\nreason: %s", got, err, each.want, each.reason)
			}
			var nonces, ids []string
			for _, call := range s.provider.calls {
				form := formOf(t, call.body)
				nonces, ids = append(nonces, form.Get("nonce")), append(ids, form.Get("id"))
			}
			if !slices.Equal(nonces, each.nonces) {
				t.Errorf("the nonces are %q, want %q\nreason: %s", nonces, each.nonces, each.reason)
			}
			if len(ids) == 2 && ids[0] == ids[1] {
				t.Error("both calls have the same uuid(), which a server takes for a replay")
			}
			stored := s.stored()
			if (stored.Attempt != nil) != each.claimed || each.provider == singleUse && stored.RefreshToken.Reveal() != each.live {
				t.Errorf("the state is %s\nreason: %s", tokens(stored), each.reason)
			}
			if !each.claimed && each.provider == singleUse && stored.Origin.IsZero() {
				t.Error("the provider has seen the token, and it is bound to nothing")
			}
			s.isBalanced()
		})
	}
}

// TestWhatAReplyBroughtWaitsForTheNextVisit has an allowance of one call a minute.
func TestWhatAReplyBroughtWaitsForTheNextVisit(t *testing.T) {
	t.Parallel()
	s := newScene(t, withNonce(singleUse)+"\nrateLimit: {requests: 1, per: 60s}")
	s.provider.answer(wantsNonce("n1"), rotates(second))
	if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
		t.Fatalf("it ends with %v, want a pause until the allowance is there again", err)
	}
	if stored := s.stored(); stored.Attempt != nil {
		t.Error("the claim stands although nothing was spent")
	}
	s.clock.SetTime(noon.Add(time.Minute))
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.provider.calls) != 2 || formOf(t, s.provider.calls[1].body).Get("nonce") != "n1" {
		t.Errorf("%d calls were made, want the second with the nonce that the first one brought", len(s.provider.calls))
	}
	s.isBalanced()
}
