// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package twins

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/encoding"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
)

// Relabel marks anew, under the present key, all states whose marks are not: those that
// an earlier version wrote, which let anybody check a guess, and those under a key that
// was lost, which find no twin any more. It calls pause before each. States whose
// credentials are gone are among them, since they have spent tokens, too.
//
// Labels alone change. A state that is written meanwhile gets its marks by that. found is
// how many there were: once there are none, nothing is left to do.
func (f *Finder) Relabel(ctx context.Context, pause func(context.Context) error) (found int, err error) {
	var outdated []types.NamespacedName
	err = f.listOutdated(ctx, func(item *metav1.PartialObjectMetadata) {
		outdated = append(outdated, client.ObjectKeyFromObject(item))
	})
	if err != nil {
		return 0, err
	}
	var failures []error
	for _, key := range outdated {
		if err := pause(ctx); err != nil {
			return found, err
		}
		relabelled, err := f.relabel(ctx, key)
		if relabelled {
			found++
		}
		failures = append(failures, err)
	}
	if err := errors.Join(failures...); err != nil || found > 0 {
		return found, err
	}
	f.oldMarksLock.Lock()
	f.oldMarks = marked{}
	f.oldMarksLock.Unlock()
	return 0, nil
}

// relabel reports whether there was something to mark.
func (f *Finder) relabel(ctx context.Context, key types.NamespacedName) (found bool, err error) {
	stored := &corev1.Secret{}
	if err := f.Client.Get(ctx, key, stored); err != nil {
		return true, changed(store.Describe(store.ActionRead, err))
	}
	if stored.Type != v1alpha1.StateSecretType || !marks.IsState(stored) {
		return false, nil // anyone may have made it
	}
	state, _ := encoding.Decode(stored.Data) // of a damaged one as much as can be read
	relabelled := stored.DeepCopy()
	f.Marks.Label(relabelled, state)
	err = f.Client.Patch(ctx, relabelled, client.MergeFromWithOptions(stored, client.MergeFromWithOptimisticLock{}))
	if err != nil {
		return true, changed(store.Describe(store.ActionUpdate, err))
	}
	return true, nil
}

// changed passes over a state that somebody else has written or deleted.
func changed(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}
