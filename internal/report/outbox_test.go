// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func eventIn(namespace string, n int) *eventsv1.Event {
	return &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint(namespace, "-", n)}}
}

func TestEventsTakeTurnsByNamespace(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "events without number")
	cases := map[string]struct {
		reason  string
		add     string // the namespaces of the events, one after the other
		posted  string
		dropped string
	}{
		"one namespace":                  {"in the order in which they came", "a a a", "a-0 a-1 a-2", ""},
		"more of one than there is room": {"the oldest goes: later ones say more", "a a a a a a", "a-1 a-2 a-3 a-4 a-5", "a-0"},
		"another's beside a flood":       {"it waits for one turn", "a a a a b", "a-0 b-4 a-1 a-2 a-3", ""},
		"another's, with no room left":   {"the flood makes room", "a a a a a b b", "a-2 b-5 a-3 b-6 a-4", "a-0 a-1"},
		"a flood after another's":        {"what came before it stays", "b b a a a a a a", "b-0 a-5 b-1 a-6 a-7", "a-2 a-3 a-4"},
		"two floods of a size":           {"none displaces the other's", "a a b b b a b a", "a-5 b-3 a-7 b-4 b-6", "a-0 b-2 a-1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waiting := &outbox{most: 5}
			var posted, dropped []string
			for n, namespace := range strings.Fields(c.add) {
				if gone := waiting.add(eventIn(namespace, n)); gone != nil {
					dropped = append(dropped, gone.Name)
				}
			}
			for event := waiting.next(); event != nil; event = waiting.next() {
				posted = append(posted, event.Name)
			}
			if diff := cmp.Diff([]string{c.posted, c.dropped}, []string{strings.Join(posted, " "), strings.Join(dropped, " ")}); diff != "" {
				t.Errorf("%s: posted, and dropped (-want +got):\n%s", c.reason, diff)
			}
			if waiting.waiting != 0 || len(waiting.namespaces) != 0 {
				t.Errorf("%d wait in the end, of %d namespaces", waiting.waiting, len(waiting.namespaces))
			}
		})
	}
}
