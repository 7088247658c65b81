// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/saving"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

func TestASeedIsNotNewToAProcessThatHasSeenItsState(t *testing.T) {
	t.Parallel()
	seed := secret.New("seed")
	states := &store.Store{Client: fake.NewClientBuilder().Build(), Key: digest.Random()}
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	record := states.None(credential)
	if err := states.Save(t.Context(), record, rotation.State{}.Adopt(seed)); err != nil {
		t.Fatal(err)
	}
	mistyped := *record
	mistyped.State = record.State.Adopt(secret.New("mistyped"))
	own, lost, other := &Refresher{Saver: &saving.Saver{States: states}}, &Refresher{Saver: &saving.Saver{States: &store.Store{Key: digest.Random()}}}, credential.DeepCopy()
	other.Name = "other"
	keyed := func(credential *v1alpha1.TokenCredential, seed secret.Text) string {
		return own.Saver.States.TokenDigest(credential, seed.Digest())
	}
	tests := []struct {
		reason string
		seen   bool
		status string
		want   rotation.SeedVerdict
		lost   bool
	}{
		{"nobody has adopted it", false, "", rotation.SeedNew, false},
		{"the status says that it was adopted", false, keyed(credential, seed), rotation.SeedUnchanged, true},
		{"the status of an earlier version says so", false, seed.Digest(), rotation.SeedUnchanged, true},
		{"the status says so of another credential's", false, keyed(other, seed), rotation.SeedNew, false},
		{"the status says so under a key that is lost", false, lost.Saver.States.TokenDigest(credential, seed.Digest()), rotation.SeedNew, false},
		{"etcd was put back to before there was a state, and this process has seen it", true, "", rotation.SeedUnchanged, true},
	}
	for _, test := range tests {
		r, gone := &Refresher{Saver: &saving.Saver{States: states}}, credential.DeepCopy()
		gone.Status.StateSecret = &v1alpha1.StateSecretStatus{Seed: test.status}
		if test.seen {
			r.Saver.Attempts.Observe(client.ObjectKeyFromObject(credential), record)
			r.Saver.Attempts.Observe(client.ObjectKeyFromObject(credential), &mistyped) // and another since
		}
		got := withAdoptedSeed(states.None(gone), r.adoptedSeeds(gone, seed), seed).State
		if verdict := got.Judge(seed); verdict != test.want || got.Lost() != test.lost {
			t.Errorf("the seed is %s (lost: %t), want %s (%t): %s", verdict, got.Lost(), test.want, test.lost, test.reason)
		}
	}
}

func TestTheLiveTokenOfACopyIsAStatementOnlyOfItsUser(t *testing.T) {
	t.Parallel()
	live := secret.New("live")
	record := &store.Record{State: rotation.State{}.Adopt(secret.New("seed"))}
	record.State.RefreshToken = live
	record.MarkCopied()
	for _, test := range []struct {
		reason    string
		writeBack bool
		seed      secret.Text
		want      bool
	}{
		{"the operator wrote it there", true, live, true},
		{"the user wrote it there", false, live, false},
		{"it is another token", true, secret.New("another"), false},
	} {
		credential := &v1alpha1.TokenCredential{}
		credential.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{WriteBack: test.writeBack}
		if got := isWrittenBack(credential, &inputs.Inputs{Seed: test.seed}, record); got != test.want {
			t.Errorf("isWrittenBack is %t, want %t: %s", got, test.want, test.reason)
		}
	}
}
