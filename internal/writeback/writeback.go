// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package writeback keeps the live refresh token in the user's own Secret too, where
// the user asks for that (spec.refreshTokenSecretRef.writeBack). It never overwrites a
// Secret that changed since it was read, for that may be a new seed; and it writes at
// a pace, since a GitOps tool may put the old seed back each time.
package writeback

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// IsDue reports whether the user's Secret is to hold the live refresh token, and does
// not.
func IsDue(credential *v1alpha1.TokenCredential, in *inputs.Inputs, record *rotation.Record) bool {
	ref := credential.Spec.RefreshTokenSecretRef
	if ref == nil || !ref.WriteBack || in.SeedVersion == "" {
		return false
	}
	live := record.State.RefreshToken
	return !live.IsZero() && !live.Equal(in.Seed) && record.State.Judge(in.Seed) != rotation.SeedNew
}

// Write writes the live refresh token into the user's Secret, at the version that was
// read. It fails with a *problem.Problem.
func Write(ctx context.Context, writer client.Client, credential *v1alpha1.TokenCredential, in *inputs.Inputs, record *rotation.Record) error {
	ref := credential.Spec.RefreshTokenSecretRef
	if in.SeedUnwritable != "" {
		return problem.New(v1alpha1.TargetConflictReason,
			"the refresh token is kept in the state Secret, but is not written back: the Secret %q of spec.refreshTokenSecretRef %s: name another Secret there, or set writeBack to false",
			ref.Name, in.SeedUnwritable)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": in.SeedVersion},
		"data":     map[string][]byte{inputs.SeedKey(ref): []byte(record.State.RefreshToken.Reveal())},
	})
	if err != nil { // maps of strings and bytes always encode
		return err
	}
	seed := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: credential.Namespace, Name: string(ref.Name)}}
	err = writer.Patch(ctx, seed, client.RawPatch(types.MergePatchType, patch))
	if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // what changed brings the next reconcile
	}
	refusal := problem.APIServer(err, fmt.Sprintf("write the refresh token back to the Secret %q", ref.Name),
		"allow that, or set spec.refreshTokenSecretRef.writeBack to false")
	refusal.Message = "the refresh token is kept in the state Secret, but " + refusal.Message
	return refusal
}

// Overwritten says that something else keeps changing the user's Secret.
func Overwritten(credential *v1alpha1.TokenCredential) *problem.Problem {
	return problem.New(v1alpha1.TargetConflictReason,
		"something else keeps changing the Secret %q, to which the refresh token is written back: have it leave the key %q alone, or set spec.refreshTokenSecretRef.writeBack to false",
		credential.Spec.RefreshTokenSecretRef.Name, inputs.SeedKey(credential.Spec.RefreshTokenSecretRef))
}
