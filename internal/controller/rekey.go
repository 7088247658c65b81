// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

const (
	// rekeyRate is how many Secrets a second get their digests anew after an upgrade or
	// the loss of a key, when all of them need it: each wakes its credential, whose
	// status follows. 10,000 take seven minutes, and do not stand in the way of tokens.
	rekeyRate = 50
	// rekeyPause is how long what failed waits to be tried again, and after how long it is
	// made sure that nothing is left.
	rekeyPause = 30 * time.Second
)

// rekeyer puts the digests in the metadata of Secrets under the present key, once after
// the start: those that an earlier version wrote, by which anybody can check a guess.
type rekeyer struct {
	twins    *twins.Finder
	targets  *target.Publisher
	metadata client.Reader // of the cache
}

// run goes on until nothing is left. It runs in the leader alone.
func (k *rekeyer) run(ctx context.Context) error {
	limiter := rate.NewLimiter(rekeyRate, 1)
	_ = wait.PollUntilContextCancel(ctx, rekeyPause, true, func(ctx context.Context) (done bool, err error) { // it fails with ctx alone
		found, err := k.rekey(ctx, limiter.Wait)
		if err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "digests that are not under the present key stay until they are tried again")
		}
		return err == nil && found == 0, nil
	})
	return nil
}

// rekey calls pause before each Secret that it writes, and returns how many there were.
func (k *rekeyer) rekey(ctx context.Context, pause func(context.Context) error) (found int, err error) {
	all := &metav1.PartialObjectMetadataList{}
	all.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := k.metadata.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		return 0, err
	}
	var failures []error
	for i := range all.Items {
		if !target.HasPlainMark(&all.Items[i]) {
			continue
		}
		if err := pause(ctx); err != nil {
			return found, err
		}
		found++
		failures = append(failures, k.targets.Rekey(ctx, &all.Items[i]))
	}
	states, err := k.twins.Relabel(ctx, pause)
	return found + states, errors.Join(append(failures, err)...)
}

// keyed keys the digests of refresh tokens in a status that an earlier version wrote, or that
// was made from a report. What the cache holds of it is not changed.
func (r *Reconciler) keyed(credential *v1alpha1.TokenCredential, known v1alpha1.TokenCredentialStatus) v1alpha1.TokenCredentialStatus {
	if known.StateSecret != nil {
		state := *known.StateSecret
		state.Seed = r.Refresher.Saver.States.TokenDigest(credential, state.Seed)
		known.StateSecret = &state
	}
	if known.LastAttempt != nil {
		last := *known.LastAttempt
		last.RefusedToken = r.Refresher.Saver.States.TokenDigest(credential, last.RefusedToken)
		known.LastAttempt = &last
	}
	return known
}
