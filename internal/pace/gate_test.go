// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

// gate is Hosts together with who was woken, and a clock.
type gate struct {
	*Hosts
	t     *testing.T
	now   time.Time
	woken []types.NamespacedName
}

func newGate(t *testing.T, workers int) *gate {
	g := &gate{t: t, now: noon}
	g.Hosts = NewHosts(workers, func(who types.NamespacedName) { g.woken = append(g.woken, who) })
	return g
}

// enter has credential n of a namespace, whose token expires n minutes after noon, ask
// for a slot.
func (g *gate) enter(host, namespace string, n int, want Verdict) {
	g.t.Helper()
	if got := g.Enter(host, renewal(namespace, n, n), g.now); got != want {
		g.t.Errorf("the verdict on %s/%d at %s is %s, want %s", namespace, n, host, got, want)
	}
}

func (g *gate) leave(host, namespace string, n int, answer Answer) {
	g.Leave(host, renewal(namespace, n, n), answer, false, g.now)
}

// call makes a call that ends at once, and whose credential does not wait afterwards.
func (g *gate) call(host, namespace string, n int, answer Answer) {
	g.t.Helper()
	g.enter(host, namespace, n, Go)
	g.Leave(host, renewal(namespace, n, n), answer, true, g.now)
}

// fail makes five calls of a namespace, fewer if the host counts as down before.
func (g *gate) fail(host, namespace string, answer Answer) {
	g.t.Helper()
	for n := 0; n < downAfter && !g.hosts[host].isDown(namespace); n++ {
		g.call(host, namespace, n, answer)
	}
}

func (at *host) isDown(namespace string) bool { return at != nil && at.down(namespace) }

// wantWoken checks who was woken since the last check, in order.
func (g *gate) wantWoken(reason string, want ...string) {
	g.t.Helper()
	var got []string
	for _, who := range g.woken {
		got = append(got, who.String())
	}
	g.woken = nil
	if diff := cmp.Diff(want, got); diff != "" {
		g.t.Errorf("%s: woken (-want +got):\n%s", reason, diff)
	}
}
