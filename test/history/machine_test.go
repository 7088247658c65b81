// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
)

// actions are what may happen next. Some are listed more than once, since they
// are to happen more often.
func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":               func(*rapid.T) { w.stats.Steps++; w.check() },
		"visit":          w.visit,
		"visit again":    w.visit,
		"visit more":     w.visit,
		"write status":   w.writeStatus,
		"write statuses": w.writeStatus,
		"go on":          w.goOn,
		"go on more":     w.goOn,
		"fault":          w.fault,
		"fault more":     w.fault,
		"time passes":    w.timePasses,
		"cache moves":    w.cacheMoves,
		"taken over":     w.takenOver,
		"process ends":   w.processEnds,
		"courier fails":  w.courierFails,
		"outlives":       w.outlives,
		"request lands":  w.requestLands,
		"user":           w.user,
		"asks for token": w.askForRefresh,
		"rotates now":    w.beginsToRotate,
		"all is well":    w.allIsWell,
	}
}

// allIsWell lets all faults cease for some hours in the midst of a history.
func (w *world) allIsWell(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "for hours") > 0 {
		t.Skip("it takes as long as half a history")
	}
	w.settle(t)
}

// visit begins a visit and runs some of it.
func (w *world) visit(t *rapid.T) {
	r := rapid.SampledFrom(w.replicas).Draw(t, "replica")
	name := rapid.SampledFrom(w.names).Draw(t, "credential")
	if r.process.visitAt(reconciles, name) != nil || r.process.draining {
		t.Skip("one visit at a time")
	}
	if rapid.IntRange(0, 3).Draw(t, "cache") > 0 {
		r.process.catchUp()
	}
	w.run(t, r.process.reconcile(name))
}

// writeStatus has a process write a status that it has yet to write, at some time.
func (w *world) writeStatus(t *rapid.T) {
	p := rapid.SampledFrom(w.replicas).Draw(t, "replica").process
	names := p.unwritten()
	if len(names) == 0 || p.draining {
		t.Skip("nothing is unwritten, or the process writes it as it ends")
	}
	w.run(t, p.write(rapid.SampledFrom(names).Draw(t, "credential")))
}

// goOn runs some more of a visit under way.
func (w *world) goOn(t *rapid.T) { w.run(t, w.anyVisit(t)) }

// anyVisit is one that is under way.
func (w *world) anyVisit(t *rapid.T) *visit {
	under := w.parked()
	if len(under) == 0 {
		t.Skip("no visit is under way")
	}
	return rapid.SampledFrom(under).Draw(t, "visit")
}

// parked are the visits that are about to do something.
func (w *world) parked() []*visit {
	return slices.DeleteFunc(w.visits(), func(v *visit) bool { return v.at == nil })
}

// run lets a visit do some of its effects, most often all, and checks the
// invariant after each.
func (w *world) run(t *rapid.T, v *visit) {
	const all = 40
	for range rapid.SampledFrom([]int{all, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, all, all, all}).Draw(t, "effects") {
		mover := v.mover()
		if mover == nil {
			return
		}
		w.next(mover, done)
		w.check()
	}
	if mover := v.mover(); mover != nil && rapid.Bool().Draw(t, "then a fault") {
		w.strike(t, mover)
	}
}

// next lets a visit's next effect meet its fate.
func (w *world) next(v *visit, decided fate) {
	w.t.Logf("%s %s: %s", w.now.Format("15:04:05"), v, decided)
	w.stats.Effects++
	w.traceFate(decided)
	v.meet(decided)
	v.process.replica.process.drain()
}

// fault lets something go wrong with the next effect of a visit.
func (w *world) fault(t *rapid.T) { w.strike(t, w.anyVisit(t)) }

func (w *world) strike(t *rapid.T, v *visit) {
	decided := rapid.SampledFrom(v.at.fates).Draw(t, "fate")
	w.stats.Faults++
	if decided == managerKilled {
		w.crash(t, v.process.replica)
		return
	}
	w.next(v, decided)
	if (decided == replyLate || decided == answeredAfterLong) && rapid.Bool().Draw(t, "very late") {
		w.now = w.now.Add(recovery.HolderTimeout + time.Second)
	}
	if decided == killedBefore || decided == killedAfter {
		w.crashOf(t, v)
	}
}

// crashOf ends the process in whose visit that was.
func (w *world) crashOf(t *rapid.T, v *visit) {
	if v.activity == carries {
		w.courierCrash(t, v.process.replica)
		return
	}
	w.crash(t, v.process.replica)
}

// crash ends a replica's process, and starts another: in the same pod or in
// another.
func (w *world) crash(t *rapid.T, r *replica) { w.die(r, rapid.Bool().Draw(t, "the pod too")) }

func (w *world) die(r *replica, withPod bool) {
	w.stats.Crashes++
	r.process.kill()
	if withPod {
		w.newPod(r, r.spool != nil)
	} else {
		w.start(r)
	}
}

// processEnds kills a process, or asks it to end.
func (w *world) processEnds(t *rapid.T) {
	r := rapid.SampledFrom(w.replicas).Draw(t, "replica")
	if rapid.Bool().Draw(t, "killed") {
		w.crash(t, r)
		return
	}
	r.process.draining = true
	r.process.stop()
	w.await()
	r.process.drain()
}

// timePasses for everybody: whoever is in the middle of something is frozen
// meanwhile, or its request is slow.
func (w *world) timePasses(t *rapid.T) {
	spans := []time.Duration{time.Second, 5 * time.Second, 12 * time.Second, 31 * time.Second, 46 * time.Second, 4 * time.Minute, 9 * time.Minute, 9 * time.Minute, 20 * time.Minute}
	span := rapid.SampledFrom(spans).Draw(t, "span")
	if w.variant.window > 0 && slices.ContainsFunc(w.parked(), func(v *visit) bool { return v.at.verb == "send" }) {
		t.Skip("a freeze between the fence and the first byte, with a window, is a known limit")
	}
	w.now = w.now.Add(span)
	w.noticePutBack()
}

// noticePutBack has the processes that lived when etcd was put back begin again, which they
// do within seconds of that (controller.ErrPutBack): no time but that of a frozen visit passes
// before.
func (w *world) noticePutBack() {
	for _, r := range w.replicas {
		if w.putBack && r.process.livedThrough && len(r.process.visits) == 0 {
			r.process.kill()
			w.start(r)
		}
	}
}

// takenOver freezes a visit while another replica looks at the same credential,
// waits until the holder counts as gone, and looks again: to the end, or so far that the
// frozen one finds it at work.
func (w *world) takenOver(t *rapid.T) {
	frozen := w.anyVisit(t)
	other := w.replicas[len(w.replicas)-1]
	if other == frozen.process.replica {
		other = w.replicas[0]
	}
	if p := other.process; other == frozen.process.replica || p.draining || p.visitAt(reconciles, frozen.credential) != nil || w.variant.window > 0 && frozen.at.verb == "send" {
		t.Skip("nobody else is there, or it is a known limit")
	}
	w.visitToTheEnd(other.process, frozen.credential)
	w.now = w.now.Add(recovery.HolderTimeout + time.Second)
	if rapid.Bool().Draw(t, "to the end") {
		w.visitToTheEnd(other.process, frozen.credential)
		return
	}
	other.process.catchUp()
	w.run(t, other.process.reconcile(frozen.credential))
}

// cacheMoves brings a cache nearer to what is so.
func (w *world) cacheMoves(t *rapid.T) {
	p := rapid.SampledFrom(w.replicas).Draw(t, "replica").process
	seen := &p.seenSecrets
	if rapid.Bool().Draw(t, "of credentials") {
		seen = &p.seenCredentials
	}
	*seen = rapid.Uint64Range(*seen, w.api.latest).Draw(t, "resourceVersion")
	p.noticeCredentials()
}

// requestLands lets a request arrive that its sender has given up.
func (w *world) requestLands(t *rapid.T) {
	if len(w.underWay) == 0 {
		t.Skip("no request is under way")
	}
	w.land()
}

// land has the first of these requests arrive.
func (w *world) land() {
	late := w.underWay[0]
	w.underWay = w.underWay[1:]
	w.t.Logf("%s the request with %s lands", w.now.Format("15:04:05"), late.token)
	w.act(late)
	w.fateOf(late.token).landedLate = true
}

// sendFates are the fates of a request to the provider. With a window a request
// that lands late voids the token that was obtained since: a known limit. A
// token that is sent again is refused truthfully alone, or nobody could tell.
func (w *world) sendFates(v *visit) []fate {
	if w.variant.window > 0 || w.variant.revokes {
		return v.outlivable(sendFates)
	}
	return append(v.outlivable(sendFates), underWayForLong)
}

// outlivable adds to the fates of an effect, where it is a courier's, that the manager dies.
func (v *visit) outlivable(fates []fate) []fate {
	fates = slices.Clone(fates)
	if v.activity == carries {
		fates = append(fates, managerKilled)
	}
	return fates
}
