// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
	"github.com/tokenkeeper/tokenkeeper/test/onlooker"
)

const (
	markPrefix = "token.tokenkeeper.io/"
	liveLabel  = markPrefix + "live"
	seedLabel  = markPrefix + "seed"
	keyLabel   = markPrefix + "key"
)

// TestAnUpgradeKeysAllDigestsAndCallsNobody puts a namespace back to what the version
// before left there: digests that anybody can make.
func TestAnUpgradeKeysAllDigestsAndCallsNobody(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "digests that an earlier version left in plain")
	faults.Shows(t, "a guess at a secret, checked against a digest in a status, a label or an annotation")
	w, total := freshAndStopped(t)
	planted.Store(w.namespace, true) // what the version before wrote shows digests
	w.unkeyAll()
	if leaks := w.leaks(); len(leaks) < total {
		t.Fatalf("the test plants %d digests, for %d credentials", len(leaks), total)
	}
	calls := w.calls()
	w.start()
	if !w.eventually(func() bool { return len(w.plain()) == 0 }) {
		t.Fatalf("digests in plain stay: %v", w.plain())
	}
	for _, leak := range w.leaks() {
		t.Error(leak)
	}
	w.unharmed(calls)
}

// TestALostKeyCallsNobody starts the operator in another namespace, where it makes
// another key.
func TestALostKeyCallsNobody(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "the loss of the key for digests")
	w, _ := freshAndStopped(t)
	own := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-operators-"}}
	must(t, w.Create(t.Context(), own))
	w.ownNamespace = own.Name
	calls, before := w.calls(), w.label(xiaomi+"-token-state", keyLabel)
	w.start()
	if !w.eventually(func() bool { return w.label(xiaomi+"-token-state", keyLabel) != before }) {
		t.Fatal("the states are not marked anew")
	}
	key := &corev1.Secret{}
	must(t, w.Get(t.Context(), client.ObjectKey{Namespace: own.Name, Name: digest.SecretName}, key))
	if len(key.Data["key"]) != 32 || key.Type != v1alpha1.DigestKeySecretType {
		t.Errorf("the key is a Secret of type %s with %d bytes", key.Type, len(key.Data["key"]))
	}
	w.unharmed(calls)
}

// freshAndStopped makes credentials of each kind, a hundred in all, and stops the operator
// once all are fresh.
func freshAndStopped(t *testing.T) (w *world, total int) {
	t.Helper()
	w = newWorld(t, simulator.Hour)
	operator := w.start()
	total = 100
	w.createMany("many", total-len(builtIns())+1, builtInNamed(t, "oauth2-client-credentials"))
	for _, b := range builtIns() {
		if b.provider != "oauth2-client-credentials" { // the pattern of the many
			b.create(w)
		}
	}
	w.awaitAllReady(total)
	operator.shutDown()
	return w, total
}

// unharmed checks that nobody was called, and that a duplicate is found as ever.
func (w *world) unharmed(calls int64) {
	w.t.Helper()
	spec := w.look(xiaomi).Spec
	spec.Target.Name = "younger-token"
	w.credential("younger", spec)
	w.await("younger", "the older one is found", isDuplicate)
	if got := w.calls() - calls; got != 0 {
		w.t.Errorf("the providers got %d calls, want none", got)
	}
	for _, b := range builtIns() {
		if b.provider != "oauth2-client-credentials" && !w.simulator.AccessTokenValid(string(w.read(b.target())["access_token"])) {
			w.t.Errorf("the target of %s holds no valid token", b.provider)
		}
	}
}

// unkeyAll writes digests as the version before did.
func (w *world) unkeyAll() {
	w.t.Helper()
	system := &corev1.Namespace{}
	must(w.t, w.Get(w.t.Context(), client.ObjectKey{Name: metav1.NamespaceSystem}, system))
	mark := func(digest string) string {
		mac := hmac.New(sha256.New, []byte(system.UID))
		mac.Write([]byte(digest))
		return hex.EncodeToString(mac.Sum(nil)[:16])
	}
	var secrets corev1.SecretList
	must(w.t, w.List(w.t.Context(), &secrets, client.InNamespace(w.namespace)))
	seeds := map[string]string{}
	for i := range secrets.Items {
		secret := &secrets.Items[i]
		before := secret.DeepCopy()
		encoded, err := json.Marshal(secret.Data)
		must(w.t, err)
		for key, value := range secret.Annotations {
			if strings.HasPrefix(key, markPrefix) {
				secret.Annotations[key] = keyedDigest.ReplaceAllString(value, "digest=$1-"+plainDigest(string(encoded)))
			}
		}
		if secret.Type == v1alpha1.StateSecretType {
			delete(secret.Labels, keyLabel)
			if live := string(secret.Data["refresh_token"]); live != "" {
				secret.Labels[liveLabel] = mark(plainDigest(live))
			}
			if seed := string(secret.Data["seed"]); seed != "" {
				secret.Labels[seedLabel], seeds[secret.Name] = mark(seed), seed
			}
		}
		must(w.t, w.Patch(w.t.Context(), secret, client.MergeFrom(before)))
	}
	var credentials v1alpha1.TokenCredentialList
	must(w.t, w.List(w.t.Context(), &credentials, client.InNamespace(w.namespace)))
	for i := range credentials.Items {
		credential := &credentials.Items[i]
		if credential.Status.StateSecret == nil {
			continue
		}
		before := credential.DeepCopy()
		credential.Status.StateSecret.Seed = seeds[credential.StateSecretName()]
		must(w.t, w.Status().Patch(w.t.Context(), credential, client.MergeFrom(before)))
	}
}

func plainDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// keyedDigest is that of a target's data, behind the shape of its template.
var keyedDigest = regexp.MustCompile(`digest=([0-9a-f]+)-[0-9a-f]+\.[0-9a-f]+`)

// plain are the digests that are not keyed, by their looks.
func (w *world) plain() []string {
	w.t.Helper()
	var plain []string
	var secrets corev1.SecretList
	must(w.t, w.List(w.t.Context(), &secrets, client.InNamespace(w.namespace)))
	for i := range secrets.Items {
		for key, value := range secrets.Items[i].Annotations {
			if strings.HasPrefix(key, markPrefix) && !keyedDigest.MatchString(value) {
				plain = append(plain, secrets.Items[i].Name+": "+value)
			}
		}
		for _, label := range []string{liveLabel, seedLabel} {
			if value := secrets.Items[i].Labels[label]; value != "" && !strings.Contains(value, ".") {
				plain = append(plain, secrets.Items[i].Name+": "+value)
			}
		}
	}
	var credentials v1alpha1.TokenCredentialList
	must(w.t, w.List(w.t.Context(), &credentials, client.InNamespace(w.namespace)))
	for i := range credentials.Items {
		if state := credentials.Items[i].Status.StateSecret; state != nil && state.Seed != "" && !strings.Contains(state.Seed, ".") {
			plain = append(plain, credentials.Items[i].Name+": "+state.Seed)
		}
	}
	return plain
}

// leaks are what an onlooker learns of the world's namespace as it is now.
func (w *world) leaks() []onlooker.Leak {
	w.t.Helper()
	now := &onlooker.Onlooker{}
	watcher, err := begin(context.Background(), now, func(namespace string) bool { return namespace != w.namespace })
	must(w.t, err)
	must(w.t, watcher.Finish(w.t.Context()))
	return now.Leaks()
}
