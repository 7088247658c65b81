// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/internal/courier"
)

// courierKind is what carries a pod's exchanges.
type courierKind string

const (
	noCourier courierKind = "" // the manager itself
	// forgetful couriers keep replies in memory alone, keeping ones in sealed files too.
	forgetful courierKind = "forgetful"
	keeping   courierKind = "keeping"
)

// carrier is one life of a pod's courier, with the real one's memory. An exchange that it
// carries is a visit of its own, which goes on when the manager that asked for it has died.
type carrier struct {
	*process
	local *courier.Local
	// silent while it does not answer: a stale socket, or a process that hangs.
	silent bool
}

// newCourierPod gives a replica's new pod a courier that remembers nothing.
func (w *world) newCourierPod(r *replica) {
	if r.carries == noCourier {
		return
	}
	w.endCourier(r)
	if r.carries == keeping {
		r.courierDirectory = filepath.Join(w.shared.directory, fmt.Sprintf("%s%d-courier", r.name, r.pods))
		w.must(os.MkdirAll(r.courierDirectory, 0o700))
	}
	w.startCourier(r)
}

// startCourier starts a courier in a replica's pod, with what the one before has left.
func (w *world) startCourier(r *replica) {
	r.couriers++
	p := &process{world: w, replica: r, name: fmt.Sprintf("%s.courier%d", r.name, r.couriers), dead: make(chan struct{})}
	p.ctx, p.stop = context.WithCancel(context.Background())
	w.age(r.courierDirectory)
	local, err := courier.New(courier.Options{Calls: &caller{world: w}, Directory: r.courierDirectory, Now: (&replicaClock{w, r}).Now})
	w.must(err)
	r.courier = &carrier{process: p, local: local}
}

// age has files be of the simulated time: what is too old is swept.
func (w *world) age(directory string) {
	files, err := filepath.Glob(filepath.Join(directory, "*.sealed"))
	w.must(err)
	for _, file := range files {
		w.must(os.Chtimes(file, w.now, w.now))
	}
}

func (w *world) endCourier(r *replica) {
	if r.courier != nil {
		r.courier.kill()
		r.courier = nil
		w.must(os.RemoveAll(r.courierDirectory))
	}
}

// courierDies kills a replica's courier, and starts another in its pod, or in another.
func (w *world) courierDies(r *replica, withPod bool) {
	if withPod {
		w.die(r, true)
		return
	}
	w.stats.Crashes++
	r.courier.kill()
	w.startCourier(r)
	r.process.drain() // what it waited for has ended
}

// courierFails kills a courier, alone or with its manager, or has it not answer any more, or
// again.
func (w *world) courierFails(t *rapid.T) {
	r := rapid.SampledFrom(w.replicas).Draw(t, "replica")
	if r.courier == nil {
		t.Skip("it has none")
	}
	if rapid.Bool().Draw(t, "silent, or no more") {
		r.courier.silent = !r.courier.silent
		return
	}
	w.courierCrash(t, r)
}

func (w *world) courierCrash(t *rapid.T, r *replica) {
	if rapid.Bool().Draw(t, "its manager too") {
		w.crash(t, r)
	}
	w.courierDies(r, false)
}

// outlives has a manager die whose exchange is under way at its courier, and the next one
// look.
func (w *world) outlives(t *rapid.T) {
	all := w.exchanges()
	if len(all) == 0 {
		t.Skip("no exchange is under way")
	}
	exchange := rapid.SampledFrom(all).Draw(t, "exchange")
	w.die(exchange.process.replica, false)
	w.visitToTheEnd(exchange.process.replica.process, exchange.credential)
}

// exchanges that couriers carry.
func (w *world) exchanges() []*visit {
	return slices.DeleteFunc(w.parked(), func(v *visit) bool { return v.activity != carries })
}
