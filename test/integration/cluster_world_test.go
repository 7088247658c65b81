// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// annotated is an edit of no meaning.
func annotated(s *corev1.Secret) {
	metav1.SetMetaDataAnnotation(&s.ObjectMeta, "example.com/note", uuid.NewString())
}

// drifted is an edit of a target that takes the token away.
func drifted(s *corev1.Secret) { s.Data["access_token"] = []byte("drifted") }

// nudge has the operator look at a credential, which by itself calls nobody.
func (w *world) nudge(name string) {
	w.t.Helper()
	w.edit(name, func(c *v1alpha1.TokenCredential) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, "example.com/wake", uuid.NewString())
	})
}

// label returns a label of a Secret.
func (w *world) label(name, key string) string {
	w.t.Helper()
	secret := &corev1.Secret{}
	must(w.t, w.Get(w.t.Context(), w.key(name), secret))
	return secret.Labels[key]
}

// looksAfter does something and waits until the operator has looked at a credential
// since, as far as the journal is verbose enough to tell.
func (w *world) looksAfter(name string, do func()) {
	w.t.Helper()
	before := w.journal.looks(name)
	do()
	if !w.eventually(func() bool { return w.journal.looks(name) > before }) {
		w.t.Fatalf("the operator does not look at %s again", name)
	}
}
