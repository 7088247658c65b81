// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/states"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

func TestWhatIsSavedIsLoaded(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	store := storeOf(api)
	record := saved(t, store, shop, sending(rotated(holding("G"), "G2")))
	again, err := store.Load(t.Context(), shop)
	api.Must(t, err)
	if !again.Exists() || again.Copied || again.ResourceVersion() != record.ResourceVersion() {
		t.Errorf("exists %t, copied %t, version %s", again.Exists(), again.Copied, again.ResourceVersion())
	}
	if !again.State.RefreshToken.Equal(text("G2")) || again.State.Attempt == nil || again.State.Attempt.ID != "sending" {
		t.Error("the state that is loaded is not the one that was saved")
	}
	stored := api.Secret(t, shop)
	if stored.Type != v1alpha1.StateSecretType || stored.Labels[v1alpha1.ManagedByLabel] != v1alpha1.ManagedBy {
		t.Errorf("the Secret is of type %s with the labels %v", stored.Type, stored.Labels)
	}
}

func TestLoadFails(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		change func(*corev1.Secret)
		want   error
	}{
		"of another type":       {"a user's Secret has the name", func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }, ErrForeign},
		"of another credential": {"it was renamed by hand", func(s *corev1.Secret) { s.Annotations[v1alpha1.CredentialAnnotation] = "other" }, ErrForeign},
		"damaged":               {"it was edited by hand", func(s *corev1.Secret) { s.Data["attempt"] = []byte("{") }, ErrUnreadable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAPIServer(t)
			stored := newSecret(shop)
			stored.Data = map[string][]byte{}
			c.change(stored)
			api.Must(t, api.Create(t.Context(), stored))
			if _, err := storeOf(api).Load(t.Context(), shop); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.reason, err, c.want)
			}
		})
	}
	api := newAPIServer(t)
	api.Failing("get", 1, apierrors.NewForbidden(secrets, "s", errCanary))
	if _, err := storeOf(api).Load(t.Context(), shop); !errors.Is(err, ErrBlocked) {
		t.Errorf("a read that is forbidden is blocked, got %v", err)
	}
}

func TestACopyIsRecognized(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	saved(t, storeOf(api), shop, rotated(holding("G"), "G2"))
	original := api.Secret(t, shop) // its identity is the cluster's alone: its UID was not known
	saved(t, storeOf(api), shop, rotated(holding("G"), "G3"))
	original.Data = api.Secret(t, shop).Data
	api.Must(t, api.Delete(t.Context(), original))
	original.ResourceVersion = ""
	api.Must(t, api.Create(t.Context(), original))
	record, err := storeOf(api).Load(t.Context(), shop)
	api.Must(t, err)
	if !record.Copied || record.State.Judge(text("G3")) != rotation.SeedNew {
		t.Error("a Secret of another UID is a copy, of which the live token may be given as a seed")
	}
	api.Must(t, storeOf(api).Save(t.Context(), record, record.State.Adopt(text("X"))))
	if again, err := storeOf(api).Load(t.Context(), shop); err != nil || again.Copied || again.State.Judge(text("G3")) != rotation.SeedSpent {
		t.Errorf("once it has a token of its own it is an original: %v", err)
	}
}

func TestSaveFails(t *testing.T) {
	t.Parallel()
	claimed := sending(holding("G"))
	huge := holding("G")
	huge.Token.Outputs = map[string]any{"huge": strings.Repeat("x", roomForClaim)}
	cases := map[string]struct {
		reason string
		stored rotation.State
		next   func(rotation.State) rotation.State
		before func(api *states.APIServer)
		want   error
	}{
		"someone else has written": {"of two writers one fails", holding("G"), sending, func(api *states.APIServer) {
			api.Failing("update", 1, apierrors.NewConflict(secrets, "s", errCanary))
		}, ErrConflict},
		"the API server refuses": {"someone must change something", holding("G"), sending, func(api *states.APIServer) {
			api.Failing("update", 1, apierrors.NewForbidden(secrets, "s", errCanary))
		}, ErrBlocked},
		"no answer": {"a retry may succeed", holding("G"), sending, func(api *states.APIServer) { api.Failing("update", 1, errCanary) }, ErrUnreachable},
		"no room for a successor": {
			"a claim must fail before the token is sent", huge, sending, nil, ErrBlocked,
		},
		"another's attempt is dropped": {
			"no transition has ended it", claimed, func(s rotation.State) rotation.State { s.Attempt = nil; return s }, nil, ErrForeignAttempt,
		},
		"another's attempt is replaced": {
			"no transition has ended it", claimed, func(s rotation.State) rotation.State { s.Attempt = &rotation.Attempt{ID: "2"}; return s }, nil, ErrForeignAttempt,
		},
		"an attempt ends":       {"its owner has withdrawn it", claimed, func(s rotation.State) rotation.State { return s.Withdraw("sending", nil) }, nil, nil},
		"an attempt is retried": {"the caller has recovered it", claimed, func(s rotation.State) rotation.State { return s.Claim(rotation.Attempt{ID: "2", Resend: true}) }, nil, nil},
		"a retry is withdrawn": {"the first attempt stands again", claimed, func(s rotation.State) rotation.State {
			return s.Withdraw("sending", &rotation.Attempt{ID: "0"})
		}, nil, nil},
		"a seed ends a claim": {"a person has decided", claimed, func(s rotation.State) rotation.State { return s.Adopt(text("W")) }, nil, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAPIServer(t)
			record := saved(t, storeOf(api), shop, c.stored)
			version := record.ResourceVersion()
			if c.before != nil {
				c.before(api)
			}
			next := c.next(record.State)
			err := storeOf(api).Save(t.Context(), record, next)
			if !errors.Is(err, c.want) {
				t.Fatalf("%s: got %v, want %v", c.reason, err, c.want)
			}
			if changed := record.ResourceVersion() != version; changed != (c.want == nil) {
				t.Errorf("the record has changed: %t", changed)
			}
		})
	}
}
