// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// posters is how many events are posted at once: as many as credentials are worked on by
// default, so that thousands of first tokens are told as fast as they come.
const posters = 64

// postBackoff is for how long an event is worth another try: half a minute or so.
var postBackoff = wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.2, Steps: 5}

// recorder posts events. A manager's own keeps each event for six to twelve minutes,
// so as to count those that come again: kibibytes for each of thousands of
// credentials that have just got their first token. Here an event tells of a
// transition, which is told each time.
type recorder struct {
	events.EventRecorder
	broadcaster events.EventBroadcaster
	client      client.Client
	log         logr.Logger
	posting     errgroup.Group
}

func newRecorder(mgr ctrl.Manager) *recorder {
	broadcaster := events.NewBroadcaster(nil) // no sink: see Start
	r := &recorder{
		EventRecorder: broadcaster.NewRecorder(mgr.GetScheme(), "tokenkeeper"),
		broadcaster:   broadcaster,
		client:        mgr.GetClient(),
		log:           mgr.GetLogger().WithName("events"),
	}
	r.posting.SetLimit(posters)
	return r
}

// NeedLeaderElection is false, so that it ends after those who record.
func (r *recorder) NeedLeaderElection() bool { return false }

// Start posts what is recorded until the process ends. Beyond the thousand that wait
// for a slow API server, events are dropped.
func (r *recorder) Start(ctx context.Context) error {
	_, err := r.broadcaster.StartEventWatcher(func(recorded runtime.Object) {
		if event, ok := recorded.(*eventsv1.Event); ok {
			r.posting.Go(func() error { r.post(ctx, event); return nil })
		}
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	r.broadcaster.Shutdown()
	return r.posting.Wait()
}

// post writes an event, and tries again while the API server is away, unless the
// process is ending.
func (r *recorder) post(ctx context.Context, event *eventsv1.Event) {
	var err error
	try := func(ctx context.Context) (done bool, _ error) {
		err = r.client.Create(context.WithoutCancel(ctx), event.DeepCopy())
		return !isTransient(err), nil
	}
	if done, _ := try(ctx); !done {
		_ = wait.ExponentialBackoffWithContext(ctx, postBackoff, try) // err says what came of it
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		r.log.Info("an event could not be written", "reason", event.Reason,
			"namespace", event.Regarding.Namespace, "name", event.Regarding.Name, "error", apierrors.ReasonForError(err))
	}
}

// isTransient tells whether the API server may take later what it did not take now.
func isTransient(err error) bool {
	return err != nil && apierrors.ReasonForError(err) == metav1.StatusReasonUnknown || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err)
}
