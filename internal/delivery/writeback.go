// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

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
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// writeBack keeps the live refresh token in the user's own Secret too, where the user
// asks for that (spec.refreshTokenSecretRef.writeBack). A Secret that holds the token
// which has just been replaced has only to follow. One that holds something else, or that
// token again, has another writer, as a GitOps tool that puts the old seed back each
// time: it is written at a pace.
func (d *Deliverer) writeBack(ctx context.Context, job Job, done Delivery) Delivery {
	key := client.ObjectKeyFromObject(job.Credential)
	d.writeBacks.HoldBack(key, false)
	if !isWriteBackDue(job) {
		return done
	}
	follows := job.IsNew && job.Inputs.Seed.Equal(job.Record.State.PreviousRefreshToken)
	if !follows {
		allowed, next, count := d.writeBacks.Pace(key)
		if target.Contended(count) && done.Notice == nil {
			done.Notice = overwritten(job.Credential)
		}
		if d.writeBacks.HoldBack(key, !allowed); !allowed {
			done.Again = schedule.Wake(done.Again, next)
			return done
		}
	}
	if done.WriteBack = writeSeed(ctx, d.Seeds, job); done.WriteBack != nil {
		return done // it is written again at the pace of refusals, and told until then
	}
	if !follows {
		d.writeBacks.Note(key)
	}
	return done
}

// isWriteBackDue reports whether the user's Secret is to hold the live refresh token,
// and does not. A new seed is never overwritten.
func isWriteBackDue(job Job) bool {
	ref := job.Credential.Spec.RefreshTokenSecretRef
	if ref == nil || !ref.WriteBack || job.Inputs.SeedVersion == "" {
		return false
	}
	live := job.Record.State.RefreshToken
	return !live.IsZero() && !live.Equal(job.Inputs.Seed) && job.Record.State.Judge(job.Inputs.Seed) != rotation.SeedNew
}

// writeSeed writes the live refresh token into the user's Secret, at the version that
// was read: one that has changed since may hold a new seed.
func writeSeed(ctx context.Context, writer client.Writer, job Job) *problem.Problem {
	ref := job.Credential.Spec.RefreshTokenSecretRef
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": job.Inputs.SeedVersion},
		"data":     map[string][]byte{inputs.SeedKey(ref): []byte(job.Record.State.RefreshToken.Reveal())},
	})
	if err != nil { // maps of strings and bytes always encode
		return problem.From(err)
	}
	seed := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: job.Credential.Namespace, Name: string(ref.Name)}}
	err = writer.Patch(ctx, seed, client.RawPatch(types.MergePatchType, patch))
	if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // what changed brings the next reconcile
	}
	refusal := problem.APIServer(err, fmt.Sprintf("write the refresh token back to the Secret %q", ref.Name),
		"allow that, or set spec.refreshTokenSecretRef.writeBack to false")
	refusal.Message = "the refresh token is kept in the state Secret, but " + refusal.Message
	return refusal
}

// overwritten says that something else keeps changing the user's Secret.
func overwritten(credential *v1alpha1.TokenCredential) *problem.Problem {
	return problem.New(v1alpha1.TargetConflictReason,
		"something else keeps changing the Secret %q, to which the refresh token is written back: have it leave the key %q alone, or set spec.refreshTokenSecretRef.writeBack to false",
		credential.Spec.RefreshTokenSecretRef.Name, inputs.SeedKey(credential.Spec.RefreshTokenSecretRef))
}
