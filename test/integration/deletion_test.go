// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// remove deletes a credential and waits until its target has gone too.
func (w *world) remove(b builtIn) {
	w.t.Helper()
	must(w.t, w.Delete(w.t.Context(), w.look(b.provider)))
	if !w.eventually(func() bool { return w.read(b.target()) == nil }) {
		w.t.Fatal("the target outlives its credential")
	}
}

func TestADeletedCredentialLeavesItsStateAndComesBackToIt(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "the state Secret retained and adopted again")
	w := newWorld(t, simulator.Hour)
	w.start()
	b := builtInNamed(t, "xiaomi")
	b.create(w)
	w.awaitRefreshes(b.provider, 1)
	w.awaitFresh(b.provider)
	token, current := string(w.read(b.target())["access_token"]), w.state(b.provider, "refresh_token")
	w.remove(b)
	if kept := w.state(b.provider, "refresh_token"); kept != current || kept == "" {
		t.Fatal("the refresh token was not kept when its credential was deleted")
	}

	calls := w.calls()
	b.create(w) // with the old seed, which is spent
	_, refreshed := w.awaitCondition(b.provider, v1alpha1.RefreshedCondition, metav1.ConditionTrue, v1alpha1.AdoptedReason)
	w.awaitFresh(b.provider)
	w.awaitLook(b.provider)
	if again := string(w.read(b.target())["access_token"]); again != token {
		t.Errorf("the target does not hold the token that was kept: %s", refreshed.Message)
	}
	if got := w.calls() - calls; got != 0 {
		t.Errorf("the provider got %d calls for a token that was kept", got)
	}

	w.askForRefresh(b.provider, "goes on")
	w.awaitRefreshes(b.provider, 2)
	grant, _ := w.simulator.Grant(b.grant)
	if grant.Reuses != 0 || grant.Refreshes != 2 {
		t.Errorf("after coming back the provider saw %d refreshes and %d reuses, want 2 and 0", grant.Refreshes, grant.Reuses)
	}
}

func TestTwoCredentialsMergeIntoOneSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	w.secret("shared", map[string]string{"theirs": "untouched", "MCS": "theirs, but asked to be written"})
	w.start()
	merge := func(key string) func(*v1alpha1.TokenCredentialSpec) {
		return func(spec *v1alpha1.TokenCredentialSpec) {
			spec.Target = v1alpha1.Target{Name: "shared", CreationPolicy: v1alpha1.MergePolicy,
				Template: &v1alpha1.TargetTemplate{Data: map[string]string{key: "${accessToken}"}}}
		}
	}
	mcs, xiaomi := builtInNamed(t, "mcs"), builtInNamed(t, "xiaomi")
	mcs.create(w, merge("MCS"))
	xiaomi.create(w, merge("XIAOMI"))
	w.awaitFresh(mcs.provider)
	w.awaitFresh(xiaomi.provider)
	w.awaitLook(mcs.provider)
	w.awaitLook(xiaomi.provider)
	check := func(when string, keys ...string) {
		t.Helper()
		data := w.read("shared")
		if string(data["theirs"]) != "untouched" || len(data) != 1+len(keys) {
			t.Errorf("%s the Secret has %d keys, and a foreign one was touched or keys are missing", when, len(data))
		}
		for _, key := range keys {
			if !w.simulator.AccessTokenValid(string(data[key])) {
				t.Errorf("%s the Secret holds no valid token under %s", when, key)
			}
		}
	}
	check("with two credentials", "MCS", "XIAOMI")
	if calls := w.calls(); calls != 2 {
		t.Errorf("the providers got %d calls, want 2: what one credential writes is no drift to the other", calls)
	}

	// A key that the template drops goes, and the other credential's stays.
	w.edit(xiaomi.provider, func(c *v1alpha1.TokenCredential) {
		c.Spec.Target.Template.Data = map[string]string{"MI": "${accessToken}"}
	})
	if !w.eventually(func() bool { return w.read("shared")["MI"] != nil }) {
		t.Fatal("the key of the new template never came")
	}
	check("after another template", "MCS", "MI")

	// A Secret that is merged into is not the operator's to delete.
	must(t, w.Delete(t.Context(), w.look(xiaomi.provider)))
	w.askForRefresh(mcs.provider, "after the other is gone")
	w.awaitRefreshes(mcs.provider, 2)
	if data := w.read("shared"); string(data["theirs"]) != "untouched" || !w.simulator.AccessTokenValid(string(data["MCS"])) {
		t.Error("the shared Secret did not survive the deletion of one of its credentials")
	}
}

func TestACredentialDeletedWhileNobodyLooksLeavesNoTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	operator := w.start()
	b := builtInNamed(t, "mcs")
	b.create(w)
	w.awaitFresh(b.provider)
	operator.shutDown()
	must(t, w.Delete(t.Context(), w.look(b.provider)))
	w.start()
	if !w.eventually(func() bool { return w.read(b.target()) == nil }) {
		t.Error("the target outlives its credential, which was deleted while the operator was away")
	}
	if w.state(b.provider, "refresh_token") == "" {
		t.Error("the refresh token was not kept")
	}
}

func TestADeletedStateSecretDoesNotMakeASpentSeedNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	w.start()
	b := builtInNamed(t, "xiaomi")
	b.create(w)
	w.awaitFresh(b.provider)
	calls := w.calls()
	w.deleteSecret(b.provider + v1alpha1.StateSecretSuffix)
	_, stalled := w.awaitCondition(b.provider, v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.RotatedTokenLostReason)
	if !strings.Contains(stalled.Message, "authorize again") {
		t.Errorf("the message does not say what to do: %s", stalled.Message)
	}
	w.askForRefresh(b.provider, "even now")
	w.awaitLook(b.provider)
	if got := w.calls() - calls; got != 0 {
		t.Errorf("a spent seed was sent %d times after its state was deleted", got)
	}
	_, err := w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{
		{ID: "other", Vendor: simulator.Xiaomi, App: simulator.DemoXiaomiClientID, RefreshToken: otherSeed},
	}})
	must(t, err)
	w.secret(b.provider+"-seed", map[string]string{"refresh_token": otherSeed})
	w.awaitFresh(b.provider)
	if grant, _ := w.simulator.Grant("other"); grant.Refreshes != 1 || w.state(b.provider, "refresh_token") != grant.Current {
		t.Error("a new seed did not cure it")
	}
}
