// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestADeletedCredentialTakesItsTargetAndLeavesItsState deletes credentials under a
// cluster that collects garbage, with the operator at work and without it.
func TestADeletedCredentialTakesItsTargetAndLeavesItsState(t *testing.T) {
	o := install(t, fromInstaller, 1)
	lifetime(t, longLifetime)

	t.Run("with the operator away, garbage collection takes the target", func(t *testing.T) {
		newNamespace(t, "team-a")
		made := newCredential(t, "team-a", "shop")
		awaitReady(t, "team-a", "shop")
		o.scale(t, 0)
		must(t, env.Delete(t.Context(), made))
		goes(t, "shop")
		keepsState(t, "shop")
		o.scale(t, 1)

		// Made again, it takes the state over, and the provider is not asked.
		refreshes := env.simulator.Totals().Refreshes
		must(t, env.Create(t.Context(), credential("team-a", "shop")))
		awaitReady(t, "team-a", "shop")
		must(t, holdsCurrentToken(t, "team-a", "shop"))
		if got := env.simulator.Totals().Refreshes; got != refreshes {
			t.Errorf("the provider was asked %d times for a token that was there", got-refreshes)
		}
	})
	t.Run("a namespace that is deleted goes, and made again it works", func(t *testing.T) {
		newNamespace(t, "team-b")
		for n := range 5 {
			newCredential(t, "team-b", fmt.Sprintf("shop-%d", n))
		}
		for n := range 5 {
			awaitReady(t, "team-b", fmt.Sprintf("shop-%d", n))
		}
		removeNamespace(t, "team-b") // it fails the test where that hangs
		newNamespace(t, "team-b")
		newCredential(t, "team-b", "shop-0")
		awaitReady(t, "team-b", "shop-0", func(*v1alpha1.TokenCredential) error { return holdsCurrentToken(t, "team-b", "shop-0") })
	})
	if totals := env.simulator.Totals(); totals.Reuses > 0 {
		t.Errorf("%d spent tokens were sent", totals.Reuses)
	}
}

// goes waits until a credential's target has gone.
func goes(t *testing.T, name string) {
	t.Helper()
	eventually(t, patience, "the target goes", func() error {
		if secret(t, "team-a", name+"-token") != nil {
			return errors.New("it is still there")
		}
		return nil
	})
}

func keepsState(t *testing.T, name string) {
	t.Helper()
	state := secret(t, "team-a", name+"-token-state")
	if state == nil {
		t.Fatal("the state has gone with its credential: the refresh token is lost")
	}
	if grant, ok := env.simulator.GrantOf(string(state.Data["refresh_token"])); !ok || grant.Current != string(state.Data["refresh_token"]) {
		t.Error("the state does not hold the current refresh token")
	}
}
