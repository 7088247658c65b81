// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// renewal of credential n, whose token expires so many minutes after noon.
func renewal(namespace string, n, minutes int) Waiter {
	return Waiter{Who: credentialIn(namespace, n), Class: Renewal, Deadline: noon.Add(time.Duration(minutes) * time.Minute)}
}

func waiterOf(class Class, namespace string, n int) Waiter {
	return Waiter{Who: credentialIn(namespace, n), Class: class}
}

func credentialIn(namespace string, n int) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: fmt.Sprintf("credential-%d", n)}
}

func popAll(o *Order) []string {
	var popped []string
	for next, ok := o.Pop(); ok; next, ok = o.Pop() {
		popped = append(popped, next.Who.String())
	}
	return popped
}

func TestOrder(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		added  []Waiter
		want   []string
	}{
		"renewals go by deadline": {
			"the token that expires first is renewed first, an expired one before it",
			[]Waiter{renewal("a", 1, 9), renewal("a", 2, 3), renewal("a", 3, -5)},
			[]string{"a/credential-3", "a/credential-2", "a/credential-1"},
		},
		"renewals with one deadline go by arrival": {
			"a tie is no lottery",
			[]Waiter{renewal("a", 2, 3), renewal("a", 1, 3)},
			[]string{"a/credential-2", "a/credential-1"},
		},
		"new ones go by arrival": {
			"nothing makes one of them more urgent",
			[]Waiter{waiterOf(New, "a", 2), waiterOf(New, "a", 1)},
			[]string{"a/credential-2", "a/credential-1"},
		},
		"namespaces take turns": {
			"many credentials give no namespace more turns",
			[]Waiter{renewal("a", 1, 1), renewal("a", 2, 2), renewal("a", 3, 3), renewal("b", 1, 60)},
			[]string{"a/credential-1", "b/credential-1", "a/credential-2", "a/credential-3"},
		},
		"a waiter that is added again counts once": {
			"an event during the wait is not a second request",
			[]Waiter{renewal("a", 1, 1), renewal("a", 1, 1)},
			[]string{"a/credential-1"},
		},
		"a waiter that becomes urgent overtakes": {
			"what counts is how things are now",
			[]Waiter{renewal("a", 1, 5), renewal("a", 2, 9), renewal("a", 2, 1)},
			[]string{"a/credential-2", "a/credential-1"},
		},
		"a change of class does not cost the position": {
			"it has waited as long as before",
			[]Waiter{waiterOf(New, "a", 1), waiterOf(Failing, "a", 2), waiterOf(Failing, "a", 1)},
			[]string{"a/credential-1", "a/credential-2"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &Order{}
			for _, waiter := range c.added {
				o.Add(waiter)
			}
			if diff := cmp.Diff(c.want, popAll(o)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestClassesShareByWeight(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		always []Class
		want   [classes]int // of 90 turns
	}{
		"all three":            {"6 : 3 : 1", []Class{Renewal, New, Failing}, [classes]int{54, 27, 9}},
		"renewals and new":     {"nobody fails: the share goes to the others", []Class{Renewal, New}, [classes]int{60, 30, 0}},
		"new and failing":      {"nothing is due", []Class{New, Failing}, [classes]int{0, 68, 22}},
		"failing ones alone":   {"capacity is not left unused", []Class{Failing}, [classes]int{0, 0, 90}},
		"renewals and failing": {"many that fail cost others a seventh", []Class{Renewal, Failing}, [classes]int{77, 0, 13}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, next := &Order{}, 0
			add := func(class Class) {
				next++
				o.Add(waiterOf(class, "a", next))
			}
			for _, class := range c.always {
				add(class)
				add(class)
			}
			var served [classes]int
			for range 90 {
				popped, _ := o.Pop()
				served[popped.Class]++
				add(popped.Class)
			}
			for class, want := range c.want {
				if got := served[class]; got < want-1 || got > want+1 {
					t.Errorf("%s: class %d has %d of 90 turns, want %d", c.reason, class, got, want)
				}
			}
		})
	}
}

// TestNewOnesAreServedWhileTokensOfSecondsAreAlwaysLate is what starved: 238
// credentials with tokens of 2 s and 762 new ones.
func TestNewOnesAreServedWhileTokensOfSecondsAreAlwaysLate(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "tokens that live for seconds, always late")
	const late, fresh = 238, 762
	o := &Order{}
	for n := range late {
		o.Add(renewal("a", n, -1))
	}
	for n := range fresh {
		o.Add(waiterOf(New, "a", late+n))
	}
	turns, left := 0, fresh
	for ; left > 0; turns++ {
		popped, _ := o.Pop()
		if popped.Class == New {
			left--
			continue
		}
		popped.Deadline = noon.Add(-time.Hour) // late again at once
		o.Add(popped)
	}
	if turns > 3*fresh {
		t.Errorf("%d new credentials took %d turns, want a third of the turns", fresh, turns)
	}
}

func TestManyNewOnesLeaveRenewalsMostTurns(t *testing.T) {
	t.Parallel()
	o := &Order{}
	for n := range 5000 {
		o.Add(waiterOf(New, "a", n))
	}
	for n := range 20 {
		o.Add(renewal("a", 9000+n, 1))
	}
	for range 33 {
		o.Pop()
	}
	if left := o.namespaces["a"].classes[Renewal].len(); left > 0 {
		t.Errorf("after 33 turns %d of 20 due tokens still wait behind new credentials", left)
	}
}

func TestANamespaceDoesNotSaveUpTurns(t *testing.T) {
	t.Parallel()
	o := &Order{}
	for n := range 200 {
		o.Add(renewal("busy", n, n))
	}
	for range 100 {
		o.Pop() // "idle" has nobody waiting
	}
	for n := range 100 {
		o.Add(renewal("idle", n, n))
	}
	served := map[string]int{}
	for range 50 {
		popped, _ := o.Pop()
		served[popped.Who.Namespace]++
	}
	if served["busy"] != 25 || served["idle"] != 25 {
		t.Errorf("turns after a pause of one namespace: %v, want as many each", served)
	}
}

func TestANamespaceThatComesAndGoesGetsNoMoreThanItsShare(t *testing.T) {
	t.Parallel()
	o, served := &Order{}, map[string]int{}
	for n := range 100 {
		o.Add(renewal("steady", n, n))
	}
	for n := range 100 {
		o.Add(renewal("fickle", n, 0))
		popped, _ := o.Pop()
		served[popped.Who.Namespace]++
		o.Remove(credentialIn("fickle", n))
	}
	if served["fickle"] > 50 {
		t.Errorf("turns: %v: to leave and come back is worth extra turns", served)
	}
}

func TestOrderForgetsWhoIsGone(t *testing.T) {
	t.Parallel()
	o := &Order{}
	for n := range 1000 {
		o.Add(renewal(fmt.Sprint(n), n, n))
	}
	for n := range 500 {
		o.Remove(credentialIn(fmt.Sprint(n), n))
	}
	o.Remove(credentialIn("nobody", 0))
	popAll(o)
	if o.Len()+o.Namespaces()+o.turns.Len()+len(o.waiters) != 0 {
		t.Errorf("an empty order remembers %d waiters and %d namespaces", len(o.waiters), o.Namespaces())
	}
}
