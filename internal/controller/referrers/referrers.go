// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package referrers knows which credentials name a Secret: whom its change wakes, and who
// else writes to a target. It reads credentials in the cache, and no Secret.
package referrers

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

// Index tells which credentials name a Secret. An index of the cache would do
// the same for a kibibyte a credential: there each entry is a map of its own, and
// kept twice. It is brought up to date before a credential is queued, so that no
// change of a Secret falls between a reconcile and the index. Its zero value is ready
// to use.
type Index struct {
	mu       sync.RWMutex
	bySecret map[types.NamespacedName][]string // names of credentials in the Secret's namespace, sorted
}

// Update replaces what a credential named before by what it names now. Either may be
// nil: it has just come, or it is gone.
func (r *Index) Update(before, after *v1alpha1.TokenCredential) {
	had, has := SecretsOf(before), SecretsOf(after)
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

func (r *Index) add(secret types.NamespacedName, credential string) {
	if r.bySecret == nil {
		r.bySecret = map[types.NamespacedName][]string{}
	}
	all := r.bySecret[secret]
	if at, known := slices.BinarySearch(all, credential); !known {
		r.bySecret[secret] = slices.Insert(all, at, credential)
	}
}

func (r *Index) remove(secret types.NamespacedName, credential string) {
	all := r.bySecret[secret]
	at, known := slices.BinarySearch(all, credential)
	switch {
	case known && len(all) == 1:
		delete(r.bySecret, secret)
	case known:
		r.bySecret[secret] = slices.Delete(all, at, at+1)
	}
}

// Of a Secret: the credentials that name it.
func (r *Index) Of(secret types.NamespacedName) []types.NamespacedName {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []types.NamespacedName
	for _, credential := range r.bySecret[secret] {
		all = append(all, types.NamespacedName{Namespace: secret.Namespace, Name: credential})
	}
	return all
}

// Sharing are the other credentials that may write to a credential's target: those that
// name it, and that of its name.
func (r *Index) Sharing(credential *v1alpha1.TokenCredential) []types.NamespacedName {
	key := client.ObjectKey{Namespace: credential.Namespace, Name: credential.TargetName()}
	return slices.DeleteFunc(append(r.Of(key), key), func(name types.NamespacedName) bool { return name.Name == credential.Name })
}

// Rivals finds the other credentials that write to the same target, or take their refresh
// token from there.
type Rivals struct {
	Credentials client.Reader // from the cache
	Catalog     *inputs.Catalog
	Index       *Index
}

// Of a credential: its rivals.
func (r Rivals) Of(ctx context.Context, credential *v1alpha1.TokenCredential) []target.Rival {
	var all []target.Rival
	for _, name := range r.Index.Sharing(credential) {
		other := &v1alpha1.TokenCredential{}
		if r.Credentials.Get(ctx, name, other, client.UnsafeDisableDeepCopy) != nil {
			continue
		}
		seed := other.Spec.RefreshTokenSecretRef
		if other.TargetName() != credential.TargetName() && (seed == nil || string(seed.Name) != credential.TargetName()) {
			continue
		}
		var outputs []string
		if found, err := r.Catalog.Find(ctx, other); err == nil {
			outputs = found.Outputs
		}
		all = append(all, target.Rival{Credential: other, Keys: render.Keys(other.Spec.Target, outputs)})
	}
	return all
}

// SecretsOf are the Secrets that a credential names. Those whose names follow from
// its own are not among them, since they are found without an index.
func SecretsOf(credential *v1alpha1.TokenCredential) []types.NamespacedName {
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
