// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
)

// eventStore takes events as an API server does.
type eventStore struct {
	client.Client
	scheme *runtime.Scheme

	mu      sync.Mutex
	refuse  []error // what the next ones meet
	created map[string]*eventsv1.Event
}

func (s *eventStore) Scheme() *runtime.Scheme { return s.scheme }

func (s *eventStore) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refuse) > 0 {
		err := s.refuse[0]
		s.refuse = s.refuse[1:]
		return err
	}
	s.created[object.GetName()] = object.(*eventsv1.Event)
	return nil
}

// TestRecorderPostsEachEventOnce records at one moment, with the process told to end
// before anything is posted.
func TestRecorderPostsEachEventOnce(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name   string
		refuse []error
		note   string
		want   int // of three
		reason string
	}{
		{"an API server that takes all", nil, "it went well", 3, "what waits is posted before the process ends"},
		{"a note that is too long", nil, strings.Repeat("ä", 600), 3, "events.k8s.io takes 1,024 bytes"},
		{"a refusal that may pass", []error{apierrors.NewInternalError(errors.New("busy"))}, "it went well", 2, "a process that is ending does not wait for another try"},
		{"a refusal for good", []error{apierrors.NewBadRequest("no")}, "it went well", 2, "another try would bring the same"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			store := &eventStore{scheme: runtime.NewScheme(), refuse: each.refuse, created: map[string]*eventsv1.Event{}}
			if err := v1alpha1.AddToScheme(store.scheme); err != nil {
				t.Fatal(err)
			}
			r := &Recorder{client: store, clock: clienttesting.NewFakePassiveClock(time.Unix(1, 0)), log: logr.Discard(), waiting: outbox{most: 3}}
			credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "shop"}}
			for range 4 { // one more than there is room for
				r.Record(t.Context(), credential, status.Event{Type: "Normal", Reason: v1alpha1.RefreshedReason, Action: "Refresh", Message: each.note})
			}
			ctx, end := context.WithCancel(t.Context())
			end()
			if err := r.Start(ctx); err != nil {
				t.Fatal(err)
			}
			if len(store.created) != each.want {
				t.Errorf("%d events were posted, want %d: %s", len(store.created), each.want, each.reason)
			}
			for _, event := range store.created {
				if event.Regarding.Kind != "TokenCredential" || event.Regarding.Name != "shop" || event.Namespace != "x" {
					t.Errorf("the event is about %+v", event.Regarding)
				}
				if len(event.Note) > longestNote || !utf8.ValidString(event.Note) || !strings.HasPrefix(each.note, event.Note) {
					t.Errorf("the note has %d bytes", len(event.Note))
				}
			}
		})
	}
}

// TestRecorderTriesAgain posts to an API server that is away for a while.
func TestRecorderTriesAgain(t *testing.T) {
	t.Parallel()
	away, busy := errors.New("connection refused"), apierrors.NewTooManyRequests("busy", 1)
	for _, each := range []struct {
		name, reason string
		refuse       []error
		posted       int
		within       time.Duration
	}{
		{"away for seconds", "an event is worth half a minute", []error{away, busy, away}, 1, 10 * time.Second},
		{"away for long", "what it could not post by then is dropped", []error{away, away, away, away, away, away, away, away}, 0, time.Minute},
		{"posted, and the reply lost", "the name tells that it is there: it is not an error", []error{away, apierrors.NewAlreadyExists(credentials, "x")}, 0, 10 * time.Second},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &eventStore{scheme: newWorld(t).server.Scheme(), refuse: each.refuse, created: map[string]*eventsv1.Event{}}
				r := &Recorder{client: store, clock: clienttesting.NewFakePassiveClock(time.Unix(1, 0)), log: logr.Discard(), waiting: outbox{most: 3}}
				ctx, end := context.WithCancel(t.Context())
				go func() { _ = r.Start(ctx) }()
				r.Record(ctx, &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "shop"}}, status.Event{Reason: "a"})
				time.Sleep(each.within)
				synctest.Wait()
				if len(store.created) != each.posted {
					t.Errorf("%d events are posted, want %d: %s", len(store.created), each.posted, each.reason)
				}
				end()
			})
		})
	}
}
