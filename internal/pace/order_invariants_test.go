// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// TestEveryWaiterIsServedInBoundedTime: whoever comes later, and whatever class or
// deadline they have, a waiter is served within a number of turns that depends on who
// waited when it came.
func TestEveryWaiterIsServedInBoundedTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o, next := &Order{}, 0
		rivals := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Waiter {
			next++
			return drawWaiter(t, next)
		}), 0, 40).Draw(t, "rivals")
		for _, rival := range rivals {
			o.Add(rival)
		}
		victim := renewal("a", 0, 1<<20)
		victim.Class = rapid.SampledFrom([]Class{Renewal, New, Failing}).Draw(t, "victim's class")
		o.Add(victim)
		inClass := o.namespaces["a"].classes[victim.Class].len()
		spent := o.namespaces["a"].classes[victim.Class].spent
		const namespaces, roundOfWeights = 3, 10
		bound := namespaces * (inClass*roundOfWeights*longestWaitingEvery + int(spent) + 2*roundOfWeights)
		for turn := 0; ; turn++ {
			popped, ok := o.Pop()
			if !ok {
				t.Fatal("the victim is gone")
			}
			if popped.Who == victim.Who {
				return
			}
			if turn > bound {
				t.Fatalf("a waiter with %d ahead of it in its class is not served within %d turns", inClass-1, bound)
			}
			popped.Deadline = noon.Add(-time.Hour) // it comes back at once, and is very late
			o.Add(popped)
			next++
			o.Add(drawWaiter(t, next))
		}
	})
}

func drawWaiter(t *rapid.T, n int) Waiter {
	waiter := renewal(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "namespace"), n, -n)
	waiter.Class = rapid.SampledFrom([]Class{Renewal, New, Failing}).Draw(t, "class")
	return waiter
}

// TestNamespacesThatAlwaysWaitAreOneTurnApart, whatever their waiters are.
func TestNamespacesThatAlwaysWaitAreOneTurnApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o, served := &Order{}, map[string]int{}
		for n := range rapid.IntRange(1, 50).Draw(t, "crowd") {
			o.Add(renewal("crowded", n, -n))
		}
		o.Add(renewal("small", 0, 60))
		for range rapid.IntRange(1, 100).Draw(t, "turns") {
			popped, _ := o.Pop()
			served[popped.Who.Namespace]++
			popped.Class = rapid.SampledFrom([]Class{Renewal, New, Failing}).Draw(t, "class")
			o.Add(popped)
			if apart := served["crowded"] - served["small"]; apart < -1 || apart > 1 {
				t.Fatalf("the namespaces are more than one turn apart: %v", served)
			}
		}
	})
}

// TestOrderAgreesWithASet of who waits, whatever is done.
func TestOrderAgreesWithASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o, waiting := &Order{}, map[types.NamespacedName]Waiter{}
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			waiter := drawWaiter(t, rapid.IntRange(0, 9).Draw(t, "who"))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				o.Add(waiter)
				waiting[waiter.Who] = waiter
			case 2:
				o.Remove(waiter.Who)
				delete(waiting, waiter.Who)
			default:
				popped, ok := o.Pop()
				if ok != (len(waiting) > 0) || ok && waiting[popped.Who] != popped {
					t.Fatalf("popped %v, %t, while %v wait", popped, ok, waiting)
				}
				delete(waiting, popped.Who)
			}
			_, waits := waiting[waiter.Who]
			if o.Len() != len(waiting) || o.Has(waiter.Who) != waits {
				t.Fatalf("%d wait, and the order has %d", len(waiting), o.Len())
			}
		}
		if got, want := len(popAll(o)), len(waiting); got != want {
			t.Fatalf("%d of %d come out", got, want)
		}
	})
}
