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
func (r *renewal) commit(ctx context.Context, change rotation.Change) error {
	ctx = context.WithoutCancel(ctx)
	waiting := false
	defer func() {
		r.attempts.observe(client.ObjectKeyFromObject(r.credential), r.record.State.Attempt)
		if waiting {
			r.Metrics.unsaved.Dec()
		}
	}()
	return r.States.Commit(ctx, r.credential, r.record, change, func(refusal error) {
		if waiting || r.record.State.Attempt == nil {
			return
		}
		waiting = true
		r.Metrics.unsaved.Inc()
		log.FromContext(ctx).Error(refusal, "the state cannot be saved; it is kept in memory and tried again")
		r.tellUnsaved(ctx, refusal)
	})
}

// tellUnsaved says at once, in the middle of a visit, that a commit is stuck.
func (r *renewal) tellUnsaved(ctx context.Context, refusal error) {
	told := problemf(v1alpha1.PersistBlockedReason,
		"%s: what the provider sent is kept in the operator's memory and tried again; see whether a quota, a policy or its immutability forbids to change the Secret %q, and do not restart the operator",
		oneLine(refusal), r.credential.StateSecretName())
	before := r.credential.Status.DeepCopy()
	r.setConditions(&r.credential.Status, told)
	patched := r.credential.DeepCopy()
	if err := r.Status().Patch(ctx, patched, client.MergeFrom(r.stored)); err != nil {
		log.FromContext(ctx).Error(fmt.Errorf("%s", oneLine(err)), "the status cannot be written either")
		r.credential.Status = *before
		return
	}
	r.stored.Status = patched.Status
	r.tell(failureNotice(told))
}
