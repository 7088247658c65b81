// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// writeBack keeps the live refresh token in the user's Secret too, where the user
// asks for that. It never overwrites a Secret that changed since it was read: that
// may be a new seed.
func (v *visit) writeBack(ctx context.Context) error {
	ref := v.credential.Spec.RefreshTokenSecretRef
	if ref == nil || !ref.WriteBack || v.inputs.versions[seedField] == absent {
		return nil
	}
	live := v.record.State.RefreshToken
	if live.IsZero() || live.Equal(v.inputs.seed) || v.record.Judge(v.inputs.seed) == rotation.SeedNew {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": v.inputs.versions[seedField]},
		"data":     map[string][]byte{orDefault(ref.Key, "refresh_token"): []byte(live.Reveal())},
	})
	if err != nil {
		return err
	}
	seed := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v.credential.Namespace, Name: string(ref.Name)}}
	err = v.Patch(ctx, seed, client.RawPatch(types.MergePatchType, patch))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // the next visit looks again
	}
	if err != nil {
		return &problem{
			reason:    v1alpha1.PersistBlockedReason,
			message:   "the refresh token is kept in the state Secret, but the API server does not let the operator write it back to the Secret " + string(ref.Name) + " (" + string(apierrors.ReasonForError(err)) + "): allow that, or set spec.refreshTokenSecretRef.writeBack to false",
			attempted: true,
		}
	}
	v.inputs.seed, v.inputs.versions[seedField] = live, seed.ResourceVersion
	v.inputs.sum(v.provider, v.credential)
	return nil
}
