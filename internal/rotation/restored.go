// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// heldIdentity is the identity of a state that is held: no Secret has such a UID.
const heldIdentity = "restored"

// MarkCopied makes a record count as a copy: the state Secret was put back, and the
// tokens in it may have been sent since.
func (r *Record) MarkCopied() {
	r.Copied, r.State.copied = true, true
	r.State.Proof = Proof{}
}

// Hold has a state count as a copy once it is saved, until a person gives another seed or
// says that its tokens can be trusted.
func (s State) Hold() State {
	s.held = true
	return s
}

// Trust takes a copy for the original where a person says so: by a word that was not acted
// on before, since a word that was restored with the copy says nothing of it.
func (r *Record) Trust(word string) {
	if !r.Copied || word == "" || r.secret.Annotations[v1alpha1.TrustRestoredAnnotation] == word {
		return
	}
	r.Copied, r.State.copied, r.State.trusted = false, false, word
}

// IsTrusted reports whether the record is a copy that a person's word made an original.
func (r *Record) IsTrusted() bool { return r.State.trusted != "" }

// trust notes on a state Secret which word was acted on.
func (s *State) trust(stored *corev1.Secret) {
	if s.trusted == "" {
		return
	}
	if stored.Annotations == nil {
		stored.Annotations = map[string]string{}
	}
	stored.Annotations[v1alpha1.TrustRestoredAnnotation], s.trusted = s.trusted, ""
}
