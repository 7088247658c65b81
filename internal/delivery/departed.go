// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// departed remembers which credentials are gone, by their UIDs, until what they owned is
// removed: another may have their name by then, and is not theirs. Its zero value is ready
// to use.
type departed struct {
	mu      sync.Mutex
	uids    map[types.NamespacedName][]types.UID
	removed *lru.Cache // names of those whose Secrets were removed; nil until there is one
}

// maxRemoved is how many names are remembered of which everything was removed that was to
// be seen: a Secret that was written just before comes into the cache within a second.
const maxRemoved = 1024

func (d *departed) note(credential *v1alpha1.TokenCredential) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uids == nil {
		d.uids = map[types.NamespacedName][]types.UID{}
	}
	key := client.ObjectKeyFromObject(credential)
	d.uids[key] = append(d.uids[key], credential.UID)
}

// of a name: the UIDs of those that had it.
func (d *departed) of(name types.NamespacedName) []types.UID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.uids[name])
}

// wasRemoved reports whether what one of a name owned was removed lately.
func (d *departed) wasRemoved(name types.NamespacedName) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.removed == nil {
		return false
	}
	_, was := d.removed.Get(name)
	return was
}

// drop forgets the UIDs given, whose Secrets were removed; one may have been noted since.
func (d *departed) drop(name types.NamespacedName, uids []types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.removed == nil {
		d.removed = lru.New(maxRemoved)
	}
	d.removed.Add(name, nil)
	left := slices.DeleteFunc(d.uids[name], func(uid types.UID) bool { return slices.Contains(uids, uid) })
	if len(left) == 0 {
		delete(d.uids, name)
		return
	}
	d.uids[name] = left
}
