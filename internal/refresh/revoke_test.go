// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const revocable = singleUse + `
revoke:
  request: {method: POST, url: "https://shop.example/revoke", form: {refresh_token: "${refreshToken}", secret: "${app.secret}"}}
`

func TestAGrantIsRevoked(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		provider     string
		answer       func() (*egress.Reply, error)
		want         string
		revoked      bool
		sent         int
	}{
		{"the provider does it", "the token is dead, so its Secret goes too", revocable, replies(http.StatusOK, ``), "", true, 1},
		{"the provider cannot now", "it is tried again, and nothing is lost", revocable, replies(http.StatusServiceUnavailable, ``), v1alpha1.ProviderUnavailableReason, false, 1},
		{"there is no answer", "it is tried again, and nothing is lost", revocable, breaksOff(), v1alpha1.ProviderUnavailableReason, false, 1},
		{"the provider describes none", "a person must do it", singleUse, nil, v1alpha1.ProviderInvalidReason, false, 0},
		{"it goes to another host now", "that is sent nothing of what the other gave", strings.ReplaceAll(revocable, "shop.example/revoke", "thief.example/revoke"), nil, v1alpha1.ReauthorizationRequiredReason, false, 0},
		{"the refresh goes to another host now", "that is sent nothing of what the other gave", strings.ReplaceAll(revocable, "https://shop.example/token", "https://thief.example/token"), nil, v1alpha1.ReauthorizationRequiredReason, false, 0},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(each.name, "another host") {
				faults.Shows(t, "an edited URL that would send the live refresh token elsewhere")
			}
			s := newScene(t, revocable)
			s.provider.answer(rotates(second))
			if _, err := s.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.start(each.provider, "two")
			if each.answer != nil {
				s.provider.answer(each.answer)
			}
			revoked, err := s.Revoke(t.Context(), s.credential)
			if got := reasonOf(err); got != each.want || revoked != each.revoked {
				t.Errorf("it ends with %q (%v), revoked: %t; want %q\nreason: %s", got, err, revoked, each.want, each.reason)
			}
			sent := s.provider.sent[1:]
			if len(sent) != each.sent || each.sent == 1 && sent[0] != second {
				t.Errorf("%d calls were made, want %d with the live token\nreason: %s", len(sent), each.sent, each.reason)
			}
			err = s.cluster.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: "shop-token-state"}, &corev1.Secret{})
			if apierrors.IsNotFound(err) != each.revoked {
				t.Errorf("the state Secret is gone: %t, want %t\nreason: %s", apierrors.IsNotFound(err), each.revoked, each.reason)
			}
			s.isBalanced()
		})
	}
}

func TestWithoutAStateThereIsNothingToRevoke(t *testing.T) {
	t.Parallel()
	s := newScene(t, revocable)
	if revoked, err := s.Revoke(t.Context(), s.credential); revoked || err != nil || len(s.provider.sent) > 0 {
		t.Errorf("revoked: %t, %v, %v: the seed is the user's, and was never sent", revoked, err, s.provider.sent)
	}
}

func (s *scene) secret(name string) *corev1.Secret {
	s.Helper()
	found := &corev1.Secret{}
	if err := s.cluster.Get(s.Context(), client.ObjectKey{Namespace: "team", Name: name}, found); err != nil {
		s.Fatal(err)
	}
	return found
}

func formOf(t *testing.T, body string) url.Values {
	t.Helper()
	form, err := url.ParseQuery(body)
	if err != nil {
		t.Fatal(err)
	}
	return form
}
