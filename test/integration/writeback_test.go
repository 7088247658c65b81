// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

func TestWriteBackKeepsTheLiveRefreshTokenInTheUsersSecretToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	w.start()
	b := builtInNamed(t, "xiaomi")
	b.create(w, func(spec *v1alpha1.TokenCredentialSpec) { spec.RefreshTokenSecretRef.WriteBack = true })
	writtenBack := func() bool {
		grant, _ := w.simulator.Grant(b.grant)
		return grant.Refreshes > 0 && string(w.read("xiaomi-seed")["refresh_token"]) == grant.Current &&
			w.state("xiaomi", "refresh_token") == grant.Current
	}

	w.awaitFresh(b.provider)
	if !w.eventually(writtenBack) {
		t.Fatal("the user's Secret does not hold the live refresh token after the first refresh")
	}
	w.askForRefresh(b.provider, "again")
	w.awaitRefreshes(b.provider, 2)
	if !w.eventually(writtenBack) {
		t.Fatal("the user's Secret does not hold the live refresh token after the next refresh")
	}

	calls := w.calls()
	w.secret("xiaomi-seed", map[string]string{"refresh_token": b.seed, "note": "put back by a GitOps tool"})
	if !w.eventually(writtenBack) {
		t.Error("the live refresh token is not written back over a spent seed")
	}
	w.awaitLook(b.provider)
	if got := w.calls() - calls; got != 0 {
		t.Errorf("a spent seed that was put back led to %d calls", got)
	}
	if got := string(w.read("xiaomi-seed")["note"]); got == "" {
		t.Error("writing back touched another key of the user's Secret")
	}
	if got := w.events(b.provider, v1alpha1.SeedAdoptedEvent); got != 1 {
		t.Errorf("what was written back was adopted as a seed: %d events, want 1", got)
	}
}
