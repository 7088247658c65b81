// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

func TestASeedIsNotNewToAProcessThatHasSeenItsState(t *testing.T) {
	seed := secret.New("seed")
	store := &rotation.Store{Client: fake.NewClientBuilder().Build()}
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	record := store.None(credential)
	if err := store.Save(t.Context(), record, rotation.State{}.Adopt(seed)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		reason string
		seen   bool
		status string
		want   rotation.SeedVerdict
		lost   bool
	}{
		{"nobody has adopted it", false, "", rotation.SeedNew, false},
		{"the status says that it was adopted", false, seed.Digest(), rotation.SeedUnchanged, true},
		{"etcd was put back to before there was a state, and this process has seen it", true, "", rotation.SeedUnchanged, true},
	}
	for _, test := range tests {
		r, gone := &Refresher{}, credential.DeepCopy()
		gone.Status.StateSecret = &v1alpha1.StateSecretStatus{Seed: test.status}
		if test.seen {
			r.attempts.observe(client.ObjectKeyFromObject(credential), record)
		}
		got := withAdoptedSeed(store.None(gone), r.adoptedSeed(gone), seed).State
		if verdict := got.Judge(seed); verdict != test.want || got.Lost() != test.lost {
			t.Errorf("the seed is %s (lost: %t), want %s (%t): %s", verdict, got.Lost(), test.want, test.lost, test.reason)
		}
	}
}
