// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revocation ends the grants of credentials that are being deleted, where they ask
// for it. What is sent, and to whom, is refresh's business; that nobody who deletes is kept
// waiting for ever is this one's.
package revocation

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/report"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
)

const (
	// revocations is how often it is tried to revoke the grant of a credential that is
	// being deleted, revocationTime for how long, and firstRevocationPause the pause after
	// the first try, which doubles: whoever deletes a credential, or its namespace, is not
	// kept waiting for a provider that is gone.
	revocations          = 5
	revocationTime       = 10 * time.Minute
	firstRevocationPause = 15 * time.Second
)

// leaving counts how often it was tried to revoke the grants of credentials that are
// being deleted. After a restart the time alone bounds it. The zero value is ready to use.
type leaving struct {
	mu    sync.Mutex
	known map[types.NamespacedName]leave
}

type leave struct {
	tries int
	next  time.Time
}

func (l *leaving) of(credential types.NamespacedName) leave {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[credential]
}

// tried notes a try that failed, and returns how it goes on.
func (l *leaving) tried(credential types.NamespacedName, now time.Time) leave {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[types.NamespacedName]leave{}
	}
	known := l.known[credential]
	known.next = now.Add(firstRevocationPause << known.tries)
	known.tries++
	l.known[credential] = known
	return known
}

func (l *leaving) forget(credential types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, credential)
}

// Revoker ends the grants of credentials that are being deleted, where they ask for it.
type Revoker struct {
	Client    client.Client
	Refresher *refresh.Refresher
	Reports   *report.Lane
	Clock     clock.PassiveClock

	leaving leaving
}

// Forget drops what is remembered of a credential that is gone.
func (r *Revoker) Forget(credential types.NamespacedName) { r.leaving.forget(credential) }

// Hold has the API server keep a credential whose deletion is to revoke its
// grant, and no other. Where that fails it is tried again with the next reconcile, and
// keeps nobody from a token.
func (r *Revoker) Hold(ctx context.Context, cached *v1alpha1.TokenCredential) {
	if cached.Spec.RevokeOnDeletion == controllerutil.ContainsFinalizer(cached, v1alpha1.RevokeFinalizer) {
		return
	}
	held := cached.DeepCopy()
	if cached.Spec.RevokeOnDeletion {
		controllerutil.AddFinalizer(held, v1alpha1.RevokeFinalizer)
	} else {
		controllerutil.RemoveFinalizer(held, v1alpha1.RevokeFinalizer)
	}
	if err := r.patchFinalizers(ctx, held, cached); err != nil && !apierrors.IsConflict(err) {
		log.FromContext(ctx).Error(err, "the finalizer for spec.revokeOnDeletion cannot be written")
	}
}

// patchFinalizers changes nothing else, and only what is as it was read.
func (r *Revoker) patchFinalizers(ctx context.Context, next, before *v1alpha1.TokenCredential) error {
	return client.IgnoreNotFound(r.Client.Patch(ctx, next, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
}

// Revoke ends the grant of a credential that is being deleted, where it asks for that, and
// lets it go: also where the provider does not do it, after a few tries. It returns when to
// try again; the zero time: never.
func (r *Revoker) Revoke(ctx context.Context, cached *v1alpha1.TokenCredential) (again time.Time, err error) {
	if !controllerutil.ContainsFinalizer(cached, v1alpha1.RevokeFinalizer) {
		return time.Time{}, nil
	}
	key, now := client.ObjectKeyFromObject(cached), r.Clock.Now()
	if known := r.leaving.of(key); now.Before(known.next) {
		return known.next, nil
	}
	switch {
	case !cached.Spec.RevokeOnDeletion:
		return time.Time{}, r.letGo(ctx, cached)
	case cached.Spec.Suspend:
		return time.Time{}, r.letGo(ctx, cached, status.NotRevoked(cached, problem.New("", "spec.suspend forbids calls")))
	}
	r.Refresher.InFlight.Add(1)
	defer r.Refresher.InFlight.Done()
	revoked, err := r.Refresher.Revoke(ctx, r.Reports.Current(cached))
	var pause *problem.Pause
	switch {
	case err == nil && revoked:
		return time.Time{}, r.letGo(ctx, cached, status.Revoked())
	case err == nil:
		return time.Time{}, r.letGo(ctx, cached)
	case ctx.Err() != nil:
		return time.Time{}, nil // the process is ending: the next one goes on from here
	}
	isLate := now.Sub(cached.DeletionTimestamp.Time) >= revocationTime
	if errors.As(err, &pause) && !isLate {
		return pause.Until, nil
	}
	if tried := r.leaving.tried(key, now); tried.tries < revocations && !isLate {
		return tried.next, nil
	}
	why := problem.Of(err)
	if why == nil {
		why = problem.New("", "%s", problem.OneLine(err))
	}
	return time.Time{}, r.letGo(ctx, cached, status.NotRevoked(cached, why))
}

// letGo has the API server delete the credential, and says why not as it was asked to.
func (r *Revoker) letGo(ctx context.Context, cached *v1alpha1.TokenCredential, events ...status.Event) error {
	next := cached.DeepCopy()
	controllerutil.RemoveFinalizer(next, v1alpha1.RevokeFinalizer)
	if err := r.patchFinalizers(ctx, next, cached); err != nil {
		return err
	}
	for _, event := range events {
		r.Reports.Events.Record(ctx, cached, event)
	}
	return nil
}
