// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/encoding"
)

// keyProof is where the proof stands in a state Secret. A version that does not know it
// leaves it alone: it names its token, and proves nothing of another.
const keyProof = "proven"

// provenIn keys the digest of a proven token. A Secret without a UID cannot be told from
// a copy of it.
func (s *Store) provenIn(secret *corev1.Secret, proof rotation.Proof) string {
	if secret.UID == "" {
		return ""
	}
	return s.Key.Of("proof in "+string(secret.UID)+" of "+s.Cluster+" at "+proof.Origin, proof.Token)
}

// writeProof writes the proof of the live token, if there is one.
func (s *Store) writeProof(stored *corev1.Secret, next rotation.State) error {
	proof := next.Proof
	isOfAnother := proof.Token != next.RefreshToken.Digest()
	proof.Token = s.provenIn(stored, proof)
	return encoding.EncodeJSON(stored.Data, keyProof, proof, isOfAnother || proof.Token == "", json.Marshal)
}

// readProof reads the proof of a state's live token. One that is damaged, or of another
// token or Secret, is none.
func (s *Store) readProof(stored *corev1.Secret, state rotation.State) rotation.Proof {
	var proof rotation.Proof
	if json.Unmarshal(stored.Data[keyProof], &proof) != nil {
		return rotation.Proof{}
	}
	written := proof.Token
	if proof.Token = state.RefreshToken.Digest(); proof.Token == "" || written != s.provenIn(stored, proof) {
		return rotation.Proof{}
	}
	return proof
}
