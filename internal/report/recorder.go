// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/record/util"
	objectref "k8s.io/client-go/tools/reference"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
)

const (
	// reporter is who the events say they are from.
	reporter = "tokenkeeper"
	// waitingEvents is how many may wait to be posted.
	waitingEvents = 10000
	// posters is how many are posted at once: as many as credentials are worked on by
	// default, so that thousands of first tokens are announced as fast as they come.
	posters = 64
	// What events.k8s.io takes, in bytes.
	longestNote     = 1024
	longestInstance = 128
)

// postBackoff is for how long an event is worth another try: half a minute or so.
var postBackoff = wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.2, Steps: 5}

// Recorder posts events. client-go's own keeps each
// event for six to twelve minutes, so as to count those that come again: kibibytes
// for each of thousands of credentials that have just got their first token. Here an
// event is of a transition, and is posted each time.
type Recorder struct {
	client   client.Client
	clock    clock.PassiveClock
	log      logr.Logger
	instance string
	waiting  chan *eventsv1.Event
	recorded atomic.Int64 // keeps names apart of what is recorded at one moment
}

// NewRecorder makes the recorder of a manager.
func NewRecorder(mgr ctrl.Manager, clock clock.PassiveClock) *Recorder {
	host, _ := os.Hostname() // without one the instance is just less telling
	return &Recorder{
		client:   mgr.GetClient(),
		clock:    clock,
		log:      mgr.GetLogger().WithName("events"),
		instance: cut(reporter+"-"+host, longestInstance),
		waiting:  make(chan *eventsv1.Event, waitingEvents),
	}
}

// Record records an event about a credential. It does not wait: an event for which there
// is no room is dropped.
func (r *Recorder) Record(credential *v1alpha1.TokenCredential, recorded status.Event) {
	object, err := objectref.GetReference(r.client.Scheme(), credential)
	if err != nil {
		r.log.Error(err, "an event is about an object of an unknown kind", "reason", recorded.Reason)
		return
	}
	now := r.clock.Now()
	event := &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: object.Namespace, Name: util.GenerateEventName(object.Name, now.UnixNano()+r.recorded.Add(1))},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: reporter,
		ReportingInstance:   r.instance,
		Action:              recorded.Action,
		Reason:              recorded.Reason,
		Regarding:           *object,
		Note:                cut(recorded.Message, longestNote),
		Type:                recorded.Type,
	}
	select {
	case r.waiting <- event:
	default:
		r.dropped(event, "too many wait")
	}
}

// NeedLeaderElection is false, so that it ends after those who record.
func (r *Recorder) NeedLeaderElection() bool { return false }

// Start posts what is recorded until the process ends, and then what still waits.
func (r *Recorder) Start(ctx context.Context) error {
	var posting errgroup.Group
	posting.SetLimit(posters)
	post := func(event *eventsv1.Event) {
		posting.Go(func() error { r.post(ctx, event); return nil })
	}
	for {
		select {
		case event := <-r.waiting:
			post(event)
			continue
		case <-ctx.Done():
		}
		for len(r.waiting) > 0 { // nobody else receives
			post(<-r.waiting)
		}
		return posting.Wait()
	}
}

// post writes an event, and tries again while the API server is away, unless the
// process is ending.
func (r *Recorder) post(ctx context.Context, event *eventsv1.Event) {
	var err error
	try := func(ctx context.Context) (done bool, _ error) {
		err = r.client.Create(context.WithoutCancel(ctx), event.DeepCopy())
		return !isTransient(err), nil
	}
	if done, _ := try(ctx); !done {
		_ = wait.ExponentialBackoffWithContext(ctx, postBackoff, try) // err says what came of it
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		r.dropped(event, string(apierrors.ReasonForError(err)))
	}
}

func (r *Recorder) dropped(event *eventsv1.Event, why string) {
	r.log.Info("an event could not be written", "why", why, "reason", event.Reason,
		"namespace", event.Regarding.Namespace, "name", event.Regarding.Name)
}

// isTransient reports whether the API server may take later what it did not take now.
func isTransient(err error) bool {
	return err != nil && apierrors.ReasonForError(err) == metav1.StatusReasonUnknown || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err)
}

// cut shortens a text, and splits no character.
func cut(text string, longest int) string {
	return strings.ToValidUTF8(text[:min(len(text), longest)], "")
}
