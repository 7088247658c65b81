// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// referrers tells which credentials name a Secret. An index of the cache would do
// the same for a kibibyte a credential: there each entry is a map of its own, and
// kept twice. It is brought up to date before a credential is queued, so that no
// change of a Secret falls between a reconcile and the index. Its zero value is ready
// to use.
type referrers struct {
	mu       sync.RWMutex
	bySecret map[types.NamespacedName][]string // names of credentials in the Secret's namespace, sorted
}

// update replaces what a credential named before by what it names now. Either may be
// nil: it has just come, or it is gone.
func (r *referrers) update(before, after *v1alpha1.TokenCredential) {
	had, has := secretsOf(before), secretsOf(after)
	if slices.Equal(had, has) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range had {
		r.remove(secret, before.Name)
	}
	for _, secret := range has {
		r.add(secret, after.Name)
	}
}

func (r *referrers) add(secret types.NamespacedName, credential string) {
	if r.bySecret == nil {
		r.bySecret = map[types.NamespacedName][]string{}
	}
	all := r.bySecret[secret]
	if at, known := slices.BinarySearch(all, credential); !known {
		r.bySecret[secret] = slices.Insert(all, at, credential)
	}
}

func (r *referrers) remove(secret types.NamespacedName, credential string) {
	all := r.bySecret[secret]
	at, known := slices.BinarySearch(all, credential)
	switch {
	case known && len(all) == 1:
		delete(r.bySecret, secret)
	case known:
		r.bySecret[secret] = slices.Delete(all, at, at+1)
	}
}

// of a Secret: the credentials that name it.
func (r *referrers) of(secret types.NamespacedName) []types.NamespacedName {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []types.NamespacedName
	for _, credential := range r.bySecret[secret] {
		all = append(all, types.NamespacedName{Namespace: secret.Namespace, Name: credential})
	}
	return all
}

// sharing are the other credentials that may write to a credential's target: those that
// name it, and that of its name.
func (r *referrers) sharing(credential *v1alpha1.TokenCredential) []types.NamespacedName {
	key := client.ObjectKey{Namespace: credential.Namespace, Name: credential.TargetName()}
	return slices.DeleteFunc(append(r.of(key), key), func(name types.NamespacedName) bool { return name.Name == credential.Name })
}

// rivals finds the other credentials that write to the same target.
type rivals struct {
	credentials client.Reader // from the cache
	catalog     *inputs.Catalog
	referrers   *referrers
}

func (r rivals) of(ctx context.Context, credential *v1alpha1.TokenCredential) []target.Rival {
	var all []target.Rival
	for _, name := range r.referrers.sharing(credential) {
		other := &v1alpha1.TokenCredential{}
		if r.credentials.Get(ctx, name, other, client.UnsafeDisableDeepCopy) != nil || other.TargetName() != credential.TargetName() {
			continue
		}
		var outputs []string
		if found, err := r.catalog.Find(ctx, other); err == nil {
			outputs = found.Outputs
		}
		all = append(all, target.Rival{Credential: other, Keys: render.Keys(other.Spec.Target, outputs)})
	}
	return all
}

// secretsOf are the Secrets that a credential names. Those whose names follow from
// its own are not among them, since they are found without an index.
func secretsOf(credential *v1alpha1.TokenCredential) []types.NamespacedName {
	if credential == nil {
		return nil
	}
	var all []types.NamespacedName
	add := func(name string) {
		key := client.ObjectKey{Namespace: credential.Namespace, Name: name}
		if !slices.Contains(all, key) {
			all = append(all, key)
		}
	}
	if name := credential.TargetName(); name != credential.Name {
		add(name)
	}
	for _, ref := range inputs.References(credential) {
		add(ref.Name)
	}
	return all
}
