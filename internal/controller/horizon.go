// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/horizon"
)

// horizonPeriod is how often it is seen how far the cluster has come: a cluster that was
// put back is noticed before it has come as far again, also while nothing is claimed. One
// that lost a few seconds has soon; so it is as often as the lease is renewed.
const horizonPeriod = 2 * time.Second

// ErrPutBack ends a manager whose cluster was put back to an earlier revision. Its caches
// would show nothing of what is written until the cluster has come as far again: whoever
// runs it begins again, with empty ones.
var ErrPutBack = errors.New("the cluster was put back to an earlier revision")

// horizonWatch notices, also while nothing is written, that the cluster was put back to an
// earlier revision.
type horizonWatch struct {
	horizon *horizon.Horizon
	// began is where the cluster was last put back to before the caches were filled.
	began string
	// live reads from the API server.
	live client.Reader
	// namespace to ask for; empty: all may be asked for.
	namespace string
	// isBlind is true while the API server does not answer, which is said once.
	isBlind bool
}

// watchHorizon has a refresher know how far the cluster has come, from before its first
// refresh.
func watchHorizon(ctx context.Context, mgr ctrl.Manager, refresher *refresh.Refresher, options Options) error {
	known, err := horizon.Open(options.Spool.Directory(), refresher.Saver.States.Cluster)
	if err != nil {
		return err
	}
	refresher.Horizon = known
	watch := &horizonWatch{horizon: known, live: mgr.GetAPIReader()}
	if len(options.Namespaces) > 0 {
		watch.namespace = options.Namespaces[0]
	}
	if err := watch.look(ctx); err != nil {
		return fmt.Errorf("see how far the cluster has come: %w", err)
	}
	watch.began = known.Restored()
	return mgr.Add(watch)
}

// Start implements manager.Runnable. It fails with ErrPutBack.
func (w *horizonWatch) Start(ctx context.Context) error {
	watched, goneBack := context.WithCancelCause(ctx)
	defer goneBack(nil)
	wait.UntilWithContext(watched, func(ctx context.Context) {
		err := w.look(ctx)
		if err != nil && !w.isBlind && ctx.Err() == nil {
			log.FromContext(ctx).Info("whether the cluster was put back to an earlier revision cannot be seen; it is tried again", "why", problem.OneLine(err))
		}
		w.isBlind = err != nil
		if w.horizon.Restored() != w.began { // a claim may have shown it, too
			goneBack(ErrPutBack)
		}
	}, horizonPeriod)
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(watched)
}

// NeedLeaderElection is false: a process that waits for its lease remembers too.
func (w *horizonWatch) NeedLeaderElection() bool { return false }

// look asks for the revision that the cluster is at, which any consistent list tells: one
// of Secrets, since claims are Secrets, and revisions of other kinds may be others (an API
// server may keep each kind in an etcd of its own).
func (w *horizonWatch) look(ctx context.Context) error {
	before := w.horizon.Newest()
	one := &metav1.PartialObjectMetadataList{}
	one.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := w.live.List(ctx, one, client.InNamespace(w.namespace), client.Limit(1)); err != nil {
		return err
	}
	wentBack, err := w.horizon.Passed(before, one.ResourceVersion)
	if wentBack {
		log.FromContext(ctx).Info("the cluster was put back to an earlier revision: refresh tokens that may have been spent since are held until a person says how to go on",
			"revision", one.ResourceVersion, "seen", before)
	}
	if err != nil { // a full spool must not keep a process from saving what it holds
		log.FromContext(ctx).Error(err, "a cluster that is put back is not noticed after a restart")
	}
	return nil
}

// mayBePutBack reports whether a credential's state was put back with the cluster, and the
// status does not say so yet, or whether a person has said something of it since.
func mayBePutBack(credential *v1alpha1.TokenCredential, horizon *horizon.Horizon) bool {
	known := &credential.Status
	if last := known.LastAttempt; last != nil && last.Reason == v1alpha1.RestoredFromBackupReason {
		return credential.Annotations[v1alpha1.TrustRestoredAnnotation] != ""
	}
	return known.StateSecret != nil && horizon.Precedes(known.StateSecret.ResourceVersion)
}
