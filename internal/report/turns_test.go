// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func named(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// order takes all that wait, one after the other.
func (t *turns) order() []string {
	var all []string
	for t.queue.Len() > 0 {
		key, _, _ := t.next()
		all = append(all, key.String())
		t.done(key, true)
	}
	return all
}

// TestAFloodOfTransitionsDelaysNoOtherNamespace is the attack: a tenant's credentials
// change their conditions all the time, each an urgent status.
func TestAFloodOfTransitionsDelaysNoOtherNamespace(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "transitions without end")
	for _, each := range []struct {
		name, reason string
		isUrgent     bool
	}{
		{"another's urgent status", "it waits for one turn of the flood's", true},
		{"another's status that is not urgent", "urgency is among a namespace's own", false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			turns := newTurns()
			t.Cleanup(turns.queue.ShutDown)
			for i := range 1000 {
				turns.add(named("flood", fmt.Sprint(i)), true)
			}
			turns.add(named("shop", "a"), each.isUrgent)
			if at := slices.Index(turns.order(), "shop/a"); at > 1 {
				t.Errorf("it is written after %d others\nreason: %s", at, each.reason)
			}
		})
	}
}

func TestWhatIsUrgentGoesFirstWithinANamespace(t *testing.T) {
	t.Parallel()
	turns := newTurns()
	t.Cleanup(turns.queue.ShutDown)
	for _, name := range []string{"plain-1", "plain-2"} {
		turns.add(named("shop", name), false)
	}
	turns.add(named("shop", "urgent"), true)
	turns.add(named("shop", "plain-2"), true) // it has become urgent
	if diff := cmp.Diff([]string{"shop/plain-2", "shop/urgent", "shop/plain-1"}, turns.order()); diff != "" {
		t.Errorf("what has become urgent keeps the time at which it came (-want +got):\n%s", diff)
	}
}

func TestAStatusThatIsNotUrgentIsWrittenBesideAFloodOfItsOwnNamespace(t *testing.T) {
	t.Parallel()
	turns := newTurns()
	t.Cleanup(turns.queue.ShutDown)
	turns.add(named("flood", "plain"), false)
	for i := range 1000 {
		turns.add(named("flood", fmt.Sprint(i)), true)
	}
	if at := slices.Index(turns.order(), "flood/plain"); at > 10 {
		t.Errorf("it is written after %d others, want 10 at most: nothing waits for ever", at)
	}
}

func TestAStatusThatCannotBeWrittenStaysUrgent(t *testing.T) {
	t.Parallel()
	turns := newTurns()
	t.Cleanup(turns.queue.ShutDown)
	turns.add(named("shop", "a"), true)
	key, isUrgent, ok := turns.next()
	if key != named("shop", "a") || !isUrgent || !ok {
		t.Fatalf("got %s, urgent: %t, %t", key, isUrgent, ok)
	}
	turns.retry(key, isUrgent)
	turns.done(key, false)
	if again, isUrgent, _ := turns.next(); again != key || !isUrgent || turns.failures(key) != 1 {
		t.Errorf("got %s after its pause, urgent: %t, %d failures", again, isUrgent, turns.failures(key))
	}
	if len(turns.urgent) > 0 {
		t.Errorf("%v is kept of what waits no more", turns.urgent)
	}
}
