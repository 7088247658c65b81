// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"os"
	"strings"
	"sync"
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
	// waitingEvents is how many may wait to be posted, of all namespaces.
	waitingEvents = 10000
	// posters is how many are posted at once: as many as credentials are worked on by
	// default, so that thousands of first tokens are announced as fast as they come.
	posters = 64
	// What events.k8s.io takes, in bytes.
	longestNote     = 1024
	longestInstance = 128
)

// postBackoff is for how long an event is worth another try: a quarter of a minute or so.
var postBackoff = wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.2, Steps: 5}

// postTimeout bounds one request, so that none occupies a poster for good.
const postTimeout = 30 * time.Second

// Recorder posts events. client-go's own keeps each event for six to twelve minutes, so
// as to count those that come again: kibibytes for each of thousands of credentials
// that have just got their first token. Here an event is of a transition, and is posted
// each time.
type Recorder struct {
	client   client.Client
	clock    clock.PassiveClock
	log      logr.Logger
	instance string
	recorded atomic.Int64 // keeps names apart of what is recorded at one moment

	waiting outbox
	mu      sync.RWMutex
	ending  bool // the process ends: nobody receives what is sent now
}

// NewRecorder makes the recorder of a manager.
func NewRecorder(mgr ctrl.Manager, clock clock.PassiveClock) *Recorder {
	host, _ := os.Hostname() // without one the instance is just less telling
	return &Recorder{
		client:   mgr.GetClient(),
		clock:    clock,
		log:      mgr.GetLogger().WithName("events"),
		instance: cut(reporter+"-"+host, longestInstance),
		waiting:  outbox{most: waitingEvents},
	}
}

// Record records an event about a credential. It does not wait, and drops an event
// where there is no room. Once the process is ending, it posts the event itself.
func (r *Recorder) Record(ctx context.Context, credential *v1alpha1.TokenCredential, recorded status.Event) {
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
	if !r.enqueue(event) {
		r.post(ctx, event)
	}
}

// enqueue reports whether a poster will come to an event, unless there is no room for it.
func (r *Recorder) enqueue(event *eventsv1.Event) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.ending {
		return false
	}
	if dropped := r.waiting.add(event); dropped != nil {
		r.dropped(dropped, "too many wait")
	}
	return true
}

// Start posts what is recorded until the process ends, and then what still waits. What
// is recorded after that is posted by whoever records it, so that nothing depends on
// who ends first.
func (r *Recorder) Start(ctx context.Context) error {
	postCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var posting errgroup.Group
	posting.SetLimit(posters)
	post := func(event *eventsv1.Event) {
		posting.Go(func() error { r.retry(postCtx, ctx, event); return nil })
	}
	for ctx.Err() == nil {
		if event := r.waiting.next(); event != nil {
			post(event)
			continue
		}
		select {
		case <-r.waiting.arrived():
		case <-ctx.Done():
		}
	}
	bound := time.AfterFunc(lastTimeout, cancel) //nolint:forbidigo // it bounds the end of the process, and decides nothing
	defer bound.Stop()
	r.close()
	for event := r.waiting.next(); event != nil; event = r.waiting.next() { // nobody adds any more
		post(event)
	}
	return posting.Wait()
}

// close has what is recorded from now on be posted by whoever records it.
func (r *Recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ending = true
}

// retry posts an event, and tries again while the API server is away and running has
// not ended.
func (r *Recorder) retry(ctx, running context.Context, event *eventsv1.Event) {
	err := r.create(ctx, event)
	if isTransient(err) {
		_ = wait.ExponentialBackoffWithContext(running, postBackoff, func(context.Context) (done bool, _ error) {
			err = r.create(ctx, event)
			return !isTransient(err), nil
		}) // err says what came of it
	}
	r.conclude(event, err)
}

// post posts an event, once.
func (r *Recorder) post(ctx context.Context, event *eventsv1.Event) {
	r.conclude(event, r.create(ctx, event))
}

func (r *Recorder) create(ctx context.Context, event *eventsv1.Event) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	return r.client.Create(ctx, event.DeepCopy())
}

func (r *Recorder) conclude(event *eventsv1.Event, err error) {
	if err != nil && !apierrors.IsAlreadyExists(err) { // an earlier try got through, where it exists
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
