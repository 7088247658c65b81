// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// patience bounds a wait for a condition. Nothing is ever awaited that long
// where all is well.
const patience = 2 * time.Minute

// eventually waits until something is so, and tells whether it came to be.
func (w *world) eventually(is func() bool) bool {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), 25*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return is(), nil
	})
	if err != nil {
		const most = 4 << 10
		log := w.journal.String()
		w.t.Logf("the end of the operator's log:\n%s", log[max(0, len(log)-most):])
	}
	return err == nil
}

// await waits until a credential is as it should be, and returns it.
func (w *world) await(name, what string, is func(*v1alpha1.TokenCredential) bool) *v1alpha1.TokenCredential {
	w.t.Helper()
	var credential *v1alpha1.TokenCredential
	if !w.eventually(func() bool {
		credential = w.look(name)
		return is(credential)
	}) {
		w.t.Fatalf("%s never came to be: %s\n%s", name, what, describe(credential))
	}
	return credential
}

// look returns a credential as it stands.
func (w *world) look(name string) *v1alpha1.TokenCredential {
	w.t.Helper()
	credential := &v1alpha1.TokenCredential{}
	must(w.t, client.IgnoreNotFound(w.Get(w.t.Context(), w.key(name), credential)))
	return credential
}

// awaitCondition waits until a condition of a credential has a status and a
// reason, and returns it with the credential.
func (w *world) awaitCondition(name, kind string, status metav1.ConditionStatus, reason string) (*v1alpha1.TokenCredential, *metav1.Condition) {
	w.t.Helper()
	var found *metav1.Condition
	c := w.await(name, fmt.Sprintf("%s=%s with the reason %s", kind, status, reason), func(c *v1alpha1.TokenCredential) bool {
		found = meta.FindStatusCondition(c.Status.Conditions, kind)
		return found != nil && found.Status == status && found.Reason == reason && found.ObservedGeneration == c.Generation
	})
	return c, found
}

// awaitFresh waits until a credential is as it should be in every way.
func (w *world) awaitFresh(name string) *v1alpha1.TokenCredential {
	w.t.Helper()
	return w.await(name, "Ready and Refreshed, and no failure counted", func(c *v1alpha1.TokenCredential) bool {
		return c.Status.ObservedGeneration == c.Generation && c.Status.FailedAttempts == 0 && len(c.Status.Conditions) == 2 &&
			meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ReadyCondition) &&
			meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.RefreshedCondition)
	})
}

// awaitRefreshes waits until a credential has got at least n tokens.
func (w *world) awaitRefreshes(name string, n int64) *v1alpha1.TokenCredential {
	w.t.Helper()
	return w.await(name, fmt.Sprintf("%d refreshes", n), func(c *v1alpha1.TokenCredential) bool { return c.Status.RefreshCount >= n })
}

// awaitLook waits until the operator has looked at a credential again, after
// everything that was done to it before: it moves the renewal a little, which
// by itself calls nobody, and waits for the generation to be observed.
func (w *world) awaitLook(name string) *v1alpha1.TokenCredential {
	w.t.Helper()
	w.edit(name, func(c *v1alpha1.TokenCredential) { c.Spec.Renewal.Percentage-- })
	return w.await(name, "another look", func(c *v1alpha1.TokenCredential) bool { return c.Status.ObservedGeneration == c.Generation })
}

// read returns a Secret's data; nil where there is none.
func (w *world) read(name string) map[string][]byte {
	w.t.Helper()
	secret := &corev1.Secret{}
	must(w.t, client.IgnoreNotFound(w.Get(w.t.Context(), w.key(name), secret)))
	return secret.Data
}

// state returns a value of a credential's state Secret.
func (w *world) state(name, key string) string {
	w.t.Helper()
	return string(w.read(name + v1alpha1.StateSecretSuffix)[key])
}

// eventList are the events of the world's namespace.
func (w *world) eventList() []eventsv1.Event {
	w.t.Helper()
	var list eventsv1.EventList
	must(w.t, w.List(w.t.Context(), &list, client.InNamespace(w.namespace)))
	return list.Items
}

// events counts the events about a credential that have a reason. The recorder
// folds the same event into a series, of which it tells the first two.
func (w *world) events(name, reason string) int {
	w.t.Helper()
	count := 0
	for _, event := range w.eventList() {
		if event.Regarding.Name == name && event.Reason == reason {
			count++
			if event.Series != nil {
				count += int(event.Series.Count)
			}
		}
	}
	return count
}

// awaitEvents waits for events, which are sent beside the operator's work.
func (w *world) awaitEvents(name, reason string, n int) {
	w.t.Helper()
	if !w.eventually(func() bool { return w.events(name, reason) >= n }) {
		w.t.Errorf("%s has %d events %s, want %d", name, w.events(name, reason), reason, n)
	}
}

// awaitTold waits until somebody is told that a credential has stalled for a reason, and how:
// by its condition, or by its event where the API server does not store its status.
func (w *world) awaitTold(name, reason string) (message string) {
	w.t.Helper()
	w.await(name, "stalled with the reason "+reason, func(c *v1alpha1.TokenCredential) bool {
		if stalled := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.StalledCondition); stalled != nil {
			message = stalled.Message
			return stalled.Status == metav1.ConditionTrue && stalled.Reason == reason
		}
		if told := w.toldByEvents(name); len(told) > 0 {
			message = told[0]
		}
		return message != ""
	})
	return message
}

// toldByEvents is what events say of a credential whose status the API server does not store.
func (w *world) toldByEvents(name string) (told []string) {
	w.t.Helper()
	isRefused := false
	for _, event := range w.eventList() {
		switch {
		case event.Regarding.Name != name:
		case event.Reason == v1alpha1.StatusRefusedEvent:
			isRefused = true
		default:
			told = append(told, event.Note)
		}
	}
	if !isRefused {
		return nil
	}
	return told
}

// calls is how many calls came to the providers.
func (w *world) calls() int64 { return w.simulator.Calls(simulator.Match{}) }

// describe shows what matters of a credential's status.
func describe(credential *v1alpha1.TokenCredential) string {
	var lines []string
	for _, c := range credential.Status.Conditions {
		lines = append(lines, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	status := credential.Status
	lines = append(lines, fmt.Sprintf("refreshes %d, failures %d, expires %v, next %v", status.RefreshCount, status.FailedAttempts, status.ExpirationTime, status.NextRefreshTime))
	return strings.Join(lines, "\n")
}

// journal keeps what the operator logs. Safe for concurrent use.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) line(entry string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.WriteString(entry + "\n")
}

// String is everything that was logged so far.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
