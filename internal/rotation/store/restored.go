// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// heldIdentity is the identity of a state that is held: no Secret has such a UID.
const heldIdentity = "restored"

// MarkCopied makes a record count as a copy: the state Secret was put back, and the
// tokens in it may have been sent since.
func (r *Record) MarkCopied() {
	r.Copied, r.State.Copied = true, true
	r.State.Proof = rotation.Proof{}
}

// Trust takes a copy for the original where a person says so: by a word that was not acted
// on before, since a word that was restored with the copy says nothing of it.
func (r *Record) Trust(word string) {
	if !r.Copied || word == "" || r.secret.Annotations[v1alpha1.TrustRestoredAnnotation] == word {
		return
	}
	r.Copied, r.State.Copied, r.State.Trusted = false, false, word
}

// IsTrusted reports whether the record is a copy that a person's word made an original.
func (r *Record) IsTrusted() bool { return r.State.Trusted != "" }

// trust notes on a state Secret which word was acted on, for which the next state is saved.
func trust(stored *corev1.Secret, next *rotation.State) {
	if next.Trusted == "" {
		return
	}
	if stored.Annotations == nil {
		stored.Annotations = map[string]string{}
	}
	stored.Annotations[v1alpha1.TrustRestoredAnnotation], next.Trusted = next.Trusted, ""
}
