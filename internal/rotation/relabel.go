// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Relabel marks anew, under the present key, all states whose marks are not: those that
// an earlier version wrote, which let anybody check a guess, and those under a key that
// was lost, which find no twin any more. It calls pause before each. States whose
// credentials are gone are among them, since they have spent tokens, too.
//
// Labels alone change. A state that is written meanwhile gets its marks by that. found is
// how many there were: once there are none, nothing is left to do.
func (s *Store) Relabel(ctx context.Context, pause func(context.Context) error) (found int, err error) {
	var outdated []types.NamespacedName
	err = s.listOutdated(ctx, func(item *metav1.PartialObjectMetadata) {
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
		relabelled, err := s.relabel(ctx, key)
		if relabelled {
			found++
		}
		failures = append(failures, err)
	}
	if err := errors.Join(failures...); err != nil || found > 0 {
		return found, err
	}
	s.oldMarksLock.Lock()
	s.oldMarks = marked{}
	s.oldMarksLock.Unlock()
	return 0, nil
}

// relabel reports whether there was something to mark.
func (s *Store) relabel(ctx context.Context, key types.NamespacedName) (found bool, err error) {
	stored := &corev1.Secret{}
	if err := s.Client.Get(ctx, key, stored); err != nil {
		return true, changed(describe(ActionRead, err))
	}
	if stored.Type != v1alpha1.StateSecretType || !isState(stored) {
		return false, nil // anyone may have made it
	}
	state, _ := decode(stored.Data) // of a damaged one as much as can be read
	relabelled := stored.DeepCopy()
	s.label(relabelled, state)
	err = s.Client.Patch(ctx, relabelled, client.MergeFromWithOptions(stored, client.MergeFromWithOptimisticLock{}))
	if err != nil {
		return true, changed(describe(ActionUpdate, err))
	}
	return true, nil
}

// changed passes over a state that somebody else has written or deleted.
func changed(err error) error {
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}
