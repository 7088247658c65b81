// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestAProofDoesNotOutliveItsSecret(t *testing.T) {
	t.Parallel()
	store := &Store{Cluster: "cluster", Key: key}
	for _, each := range []struct {
		name, reason string
		read         func(*Store)
		uid          string
		want         bool
	}{
		{"the same Secret", "it is its own", func(*Store) {}, "uid", true},
		{"a copy under another UID", "its original may have sent the token since", func(*Store) {}, "another", false},
		{"a copy in another cluster", "the same", func(s *Store) { s.Cluster = "other" }, "uid", false},
		{"a Secret whose UID is not known yet", "it could not be told from a copy", func(*Store) {}, "", false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			state := provenState()
			secret := newSecret(&v1alpha1.TokenCredential{})
			secret.UID, secret.Data = "uid", map[string][]byte{}
			if err := store.writeProof(secret, state); err != nil {
				t.Fatal(err)
			}
			reader := &Store{Cluster: store.Cluster, Key: store.Key}
			each.read(reader)
			secret.UID = types.UID(each.uid)
			state.Proof = reader.readProof(secret, state)
			if got := state.Proven(); got != each.want {
				t.Errorf("proven: %t, want %t: %s", got, each.want, each.reason)
			}
		})
	}
}
