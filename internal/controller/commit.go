// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

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
	waiting := false
	defer func() {
		v.attempts.observe(client.ObjectKeyFromObject(v.credential), v.record.State.Attempt)
		if waiting {
			v.Metrics.unsaved.Dec()
		}
	}()
	return v.States.Commit(ctx, v.credential, v.record, change, func(refusal error) {
		if waiting || v.record.State.Attempt == nil {
			return
		}
		waiting = true
		v.Metrics.unsaved.Inc()
		log.FromContext(ctx).Error(refusal, "the state cannot be saved; it is kept in memory and tried again")
		v.tellUnsaved(ctx, refusal)
	})
}

// tellUnsaved says at once, in the middle of a visit, that a commit is stuck.
func (v *visit) tellUnsaved(ctx context.Context, refusal error) {
	told := problemf(v1alpha1.PersistBlockedReason,
		"%s: what the provider sent is kept in the operator's memory and tried again; see whether a quota, a policy or its immutability forbids to change the Secret %q, and do not restart the operator",
		oneLine(refusal), v.credential.StateSecretName())
	before := v.credential.Status.DeepCopy()
	v.setConditions(&v.credential.Status, told)
	patched := v.credential.DeepCopy()
	// Whoever has taken over meanwhile knows better what is to be said.
	giveWay := client.MergeFromWithOptions(v.stored, client.MergeFromWithOptimisticLock{})
	if err := v.Status().Patch(ctx, patched, giveWay); err != nil {
		log.FromContext(ctx).Error(fmt.Errorf("%s", oneLine(err)), "the status cannot be written either")
		v.credential.Status = *before
		return
	}
	v.stored.Status = patched.Status
	// Of both, or the next patch would name a version, and be refused for it.
	v.stored.ResourceVersion, v.credential.ResourceVersion = patched.ResourceVersion, patched.ResourceVersion
	v.tell(failureNotice(told))
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
