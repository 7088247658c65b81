// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestARestartWithFreshCredentialsCallsNobodyAndWritesNothing(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a restart with 10,000 fresh credentials")
	w := newWorld(t, simulator.Hour)
	w.verbosity = 5 // at which each look at a credential is logged
	operator := w.start()
	for _, b := range builtIns() {
		b.create(w)
	}
	for _, b := range builtIns() {
		w.awaitFresh(b.provider)
	}
	operator.shutDown()
	before, calls := w.versions(), w.calls()
	looks := map[string]int{}
	for _, b := range builtIns() {
		looks[b.provider] = w.journal.looks(b.provider)
	}

	w.resync = 2 * time.Second
	operator = w.start()
	for _, b := range builtIns() {
		// Once for the initial list, and again for a resync of everything.
		if !w.eventually(func() bool { return w.journal.looks(b.provider) >= looks[b.provider]+3 }) {
			t.Fatalf("%s was not looked at again", b.provider)
		}
	}
	operator.shutDown()
	if diff := cmp.Diff(before, w.versions()); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}
	if got := w.calls() - calls; got != 0 {
		t.Errorf("the providers got %d calls, want none", got)
	}
}

// versions are the resource versions of everything that the operator may write
// in the world's namespace.
func (w *world) versions() map[string]string {
	w.t.Helper()
	versions := map[string]string{}
	for kind, list := range map[string]client.ObjectList{"Secret": &corev1.SecretList{}, "TokenCredential": &v1alpha1.TokenCredentialList{}} {
		must(w.t, w.List(w.t.Context(), list, client.InNamespace(w.namespace)))
		switch list := list.(type) {
		case *corev1.SecretList:
			for i := range list.Items {
				versions[kind+"/"+list.Items[i].Name] = list.Items[i].ResourceVersion
			}
		case *v1alpha1.TokenCredentialList:
			for i := range list.Items {
				versions[kind+"/"+list.Items[i].Name] = list.Items[i].ResourceVersion
			}
		}
	}
	return versions
}

// looks counts how often a credential was looked at, as far as the journal is
// verbose enough to tell.
func (j *journal) looks(name string) int {
	count := 0
	for line := range strings.Lines(j.String()) {
		if endsLook(line) && strings.Contains(line, `"name":"`+name+`","reconcileID"`) {
			count++
		}
	}
	return count
}

// allLooks counts how often any credential was looked at.
func (j *journal) allLooks() int {
	count := 0
	for line := range strings.Lines(j.String()) {
		if endsLook(line) && strings.Contains(line, `"controller":"tokencredential"`) {
			count++
		}
	}
	return count
}

func endsLook(line string) bool {
	return strings.Contains(line, `"msg":"Reconcile successful"`) || strings.Contains(line, `"msg":"Reconcile done`)
}
