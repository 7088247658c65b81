// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// commit makes a change of the state durable. Neither a shutdown nor a deadline
// cuts it off. While the API server refuses it, the token that waits in this
// process is told of: by a metric, in the log, and, where the API server takes
// that, by the credential's conditions.
func (v *visit) commit(ctx context.Context, change rotation.Change) error {
	ctx = context.WithoutCancel(ctx)
	waiting, told := false, false
	defer func() {
		v.attempts.observe(client.ObjectKeyFromObject(v.credential), v.record.State.Attempt)
		if waiting {
			v.Metrics.unsaved.Dec()
		}
	}()
	return v.States.Commit(ctx, v.credential, v.record, change, func(refusal error) {
		if v.record.State.Attempt == nil {
			return
		}
		if !waiting {
			waiting = true
			v.Metrics.unsaved.Inc()
			log.FromContext(ctx).Error(refusal, "the state cannot be saved; it is kept in memory and tried again")
		}
		told = told || v.tellUnsaved(ctx, refusal)
	})
}

// tellUnsaved says at once, in the middle of a visit, that a commit is stuck. It
// returns whether that was said.
func (v *visit) tellUnsaved(ctx context.Context, refusal error) bool {
	told := problemf(v1alpha1.PersistBlockedReason,
		"%s: what the provider sent is kept in the operator's memory and tried again; see whether a quota, a policy or its immutability forbids to change the Secret %q, and do not restart the operator",
		oneLine(refusal), v.credential.StateSecretName())
	before := v.credential.Status.DeepCopy()
	v.setConditions(&v.credential.Status, told)
	err := v.patchIfOwn(ctx)
	if apierrors.IsConflict(err) && v.isBehind(ctx) {
		err = v.patchIfOwn(ctx)
	}
	if err != nil {
		log.FromContext(ctx).Error(fmt.Errorf("%s", oneLine(err)), "the status cannot be written either")
		v.credential.Status = *before
		return false
	}
	v.tell(failureNotice(told))
	return true
}

// patchIfOwn writes the status, unless somebody has written the credential since:
// whoever has taken over knows better what is to be said.
func (v *visit) patchIfOwn(ctx context.Context) error {
	patched := v.credential.DeepCopy()
	if err := v.Status().Patch(ctx, patched, client.MergeFromWithOptions(v.stored, client.MergeFromWithOptimisticLock{})); err != nil {
		return err
	}
	v.stored.Status = patched.Status
	// Of both, or the next patch would name a version, and be refused for it.
	v.stored.ResourceVersion, v.credential.ResourceVersion = patched.ResourceVersion, patched.ResourceVersion
	return nil
}

// isBehind tells whether nobody has written the status but this process, and only the
// version that the cache showed is an old one. It goes on from the one that stands.
func (v *visit) isBehind(ctx context.Context) bool {
	live := &v1alpha1.TokenCredential{}
	if err := v.Live.Get(ctx, client.ObjectKeyFromObject(v.credential), live); err != nil || live.UID != v.credential.UID ||
		!equality.Semantic.DeepEqual(live.Status, v.stored.Status) {
		return false
	}
	v.stored.ResourceVersion, v.credential.ResourceVersion = live.ResourceVersion, live.ResourceVersion
	return true
}

// unspool commits what an earlier process of this pod brought and did not come to
// save.
func (v *visit) unspool(ctx context.Context) error {
	attempt := v.record.State.Attempt
	grant, found := v.Spool.Find(attempt, v.record.State.RefreshToken)
	if !found {
		return nil
	}
	err := v.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
		return stored.Commit(grant), stored.Attempt != nil && stored.Attempt.ID == attempt.ID
	})
	if err == nil {
		log.FromContext(ctx).Info("a token that an earlier process had received is saved")
		v.Spool.Drop(attempt)
	}
	return err
}
