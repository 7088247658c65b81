// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// settle lets everything come to rest, and checks that each credential is well, or says
// what a person must do: no faults any more, clocks that are right, caches that are up to
// date, and time, twice the lifetime of a token and more.
func (w *world) settle(t *rapid.T) {
	w.refusesTargets, w.refusesStates = false, false
	for len(w.visits()) > 0 {
		w.toItsEnd(w.visits()[0])
	}
	for len(w.underWay) > 0 {
		w.land()
	}
	for _, r := range w.replicas {
		if r.courier != nil {
			r.courier.silent = false
		}
		if r.clock != 0 { // a process whose clock was set right is started again
			r.clock = 0
			r.process.kill()
			w.newCourierPod(r) // what was sent by the wrong clock is read by it too
			w.start(r)
			clear(w.obtained) // what a wrong clock has recorded as fresh need not count
		}
	}
	for _, name := range w.names {
		if c := w.api.credential(name); c != nil && c.Spec.Parameters["tokenURL"] != homeURL {
			change(w.api, credentials, name, func(c *v1alpha1.TokenCredential) { c.Spec.Parameters = map[string]string{"tokenURL": homeURL} })
		}
	}
	if w.appWrong && len(w.seeds)%2 == 0 {
		w.appWrong = false
		w.correctApp(true)
	}
	for _, name := range w.names {
		if c := w.api.credential(name); c != nil && c.Spec.Suspend && rapid.Bool().Draw(t, "resume") {
			change(w.api, credentials, name, func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = false })
		}
	}
	w.collectGarbage()
	w.done()
	w.comeToRest()
}

// comeToRest lets time pass, and checks what must hold once nothing happens any more.
func (w *world) comeToRest() {
	w.check()
	w.rest()
	w.beginAgain()
	for _, name := range w.names { // at once, and not as late as the next renewal
		w.checkPublished(name)
	}
	for range maxRenewals {
		w.now = w.now.Add(3 * time.Hour)
		w.rest()
		if !slices.ContainsFunc(w.names, w.isFoundOutNext) {
			break
		}
	}
	for _, name := range w.names {
		w.checkAtRest(name)
	}
	w.atRest = true
	w.check()
	w.atRest = false
}

// beginAgain has each process that lived when etcd was put back begin again, which it does
// within half a minute of that (controller.ErrPutBack): what it has until then is judged
// before. One that has begun again knows it (process.unaware) where its pod keeps how far the
// cluster had come.
func (w *world) beginAgain() {
	if !w.putBack {
		return
	}
	hasBegun := false
	for _, r := range w.replicas {
		if r.process.livedThrough {
			r.process.kill()
			w.start(r)
			r.process.catchUp()
			hasBegun = true
		}
	}
	if hasBegun {
		w.rest()
	}
}

// maxRenewals is by which renewal all must be found out that isFoundOutNext lets pass: what
// one credential spends, another finds, and it may be the other way round once more.
const maxRenewals = 3

// mend has a person do what each credential says that one must do. In the end that helps
// every one.
func (w *world) mend() {
	for _, name := range w.names {
		if c := w.api.credential(name); c != nil && c.Spec.Suspend {
			change(w.api, credentials, name, func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = false })
		}
	}
	w.done()
	w.comeToRest()
	done := map[string]bool{}
	for range maxMends {
		deeds := map[string]func(){}
		for _, name := range w.names {
			if reason := w.stalledFor(name); reason != "" {
				isAgain := done[reason]
				deeds[reason] = func() { w.doWhatIsSaid(name, reason, isAgain) }
			}
		}
		if len(deeds) == 0 {
			return
		}
		for _, reason := range sorted(deeds) {
			deeds[reason]()
			done[reason] = true
		}
		w.done()
		w.comeToRest()
	}
	for _, name := range w.names {
		if reason := w.stalledFor(name); reason != "" {
			w.violated(fmt.Sprintf("at rest: a person has done what %s says, and it is stalled still, with %s", name, reason))
		}
	}
	w.check()
}

// maxMends is how often a person has to do something: a corrected app shows that the
// refresh token is refused, and two credentials on one seed that one is too many.
const maxMends = 3

// stalledFor is the reason for which a credential is stalled; empty: it is not.
func (w *world) stalledFor(name string) string {
	credential := w.api.credential(name)
	if credential == nil {
		return ""
	}
	stalled := meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.StalledCondition)
	if stalled == nil {
		return ""
	}
	return stalled.Reason
}

// doWhatIsSaid does what ends a stall, by its reason. Where a new grant was of no use to two
// that share it, a person does the other thing that the message speaks of: there is one for
// each of a provider that now and then rotates.
func (w *world) doWhatIsSaid(name, reason string, isAgain bool) {
	switch {
	case reason == v1alpha1.AppRejectedReason:
		w.appWrong = false
		w.correctApp(true)
	case reason == v1alpha1.DuplicateSourceReason, isAgain && w.saysThatItIsShared(name):
		w.must(w.api.remove(credentials, name))
	default:
		w.giveSeed(w.authorize())
	}
}

// saysThatItIsShared reports whether a stalled credential tells that another one may have
// spent its token.
func (w *world) saysThatItIsShared(name string) bool {
	stalled := meta.FindStatusCondition(w.api.credential(name).Status.Conditions, v1alpha1.StalledCondition)
	return stalled != nil && strings.Contains(stalled.Message, "each needs a grant of its own")
}

// collectGarbage does what the cluster does: it deletes what belongs to an owner that is
// gone, whoever has its name now.
func (w *world) collectGarbage() {
	for _, name := range w.names {
		target, credential := w.api.secret(targetOf(name)), w.api.credential(name)
		if target == nil || credential == nil { // what is left of one that was not made again, the operator removes
			continue
		}
		if owner := metav1.GetControllerOf(target); owner != nil && owner.UID != credential.UID {
			w.must(w.api.remove(secrets, target.Name))
		}
	}
}

const (
	maxEffects = 200
	maxRounds  = 100
	// restful is how far away what is due next may be at rest.
	restful = 2 * time.Minute
	late    = 16 * time.Second
)

func latest(x, y time.Time) time.Time {
	if x.After(y) {
		return x
	}
	return y
}

// rest visits whoever is queued, until nobody is. Nobody is visited without a reason: what
// the operator forgets to plan does not happen.
func (w *world) rest() {
	for range maxRounds {
		busy := false
		for _, r := range w.replicas {
			for _, name := range w.names {
				if r.process.catchUp(); r.process.isQueued(name) {
					busy = true
					w.visitToTheEnd(r.process, name)
				}
			}
			for _, name := range r.process.unwritten() {
				busy = true
				w.toItsEnd(r.process.write(name))
			}
		}
		for _, exchange := range w.exchanges() {
			if !busy { // whoever asks has asked
				w.toItsEnd(exchange)
				busy = true
			}
		}
		if busy {
			continue
		}
		next, planned := w.nextWake()
		if !planned || next.Sub(w.now) > restful {
			return
		}
		w.now = latest(next, w.now.Add(late)) // a busy operator comes late, and this one is not to look each second
	}
	w.violated("it does not come to rest")
	w.check()
}

func (w *world) visitToTheEnd(p *process, name string) {
	p.catchUp()
	w.toItsEnd(p.reconcile(name))
}

// toItsEnd lets a visit do all that it does; and those for which it waits.
func (w *world) toItsEnd(v *visit) {
	for range maxEffects {
		mover := v.mover()
		if mover == nil {
			break
		}
		w.goOnWith(mover)
		w.check()
	}
	if !v.ended {
		w.violated("a visit does not end: " + v.String())
		w.check()
	}
}

// goOnWith lets a visit's next effect meet the fate that the script has for it.
func (w *world) goOnWith(v *visit) {
	if w.script == nil {
		w.next(v, done)
		return
	}
	decided := w.script(v)
	if decided != managerKilled {
		w.next(v, decided)
	}
	switch {
	case decided == managerKilled, v.activity != carries && (decided == killedBefore || decided == killedAfter):
		w.die(v.process.replica, w.podsEnd)
		w.now = w.now.Add(w.awayFor)
	case decided == killedBefore || decided == killedAfter:
		w.courierDies(v.process.replica, w.podsEnd)
	}
}

// nextWake is the earliest planned look at a credential.
func (w *world) nextWake() (next time.Time, planned bool) {
	for _, r := range w.replicas {
		for _, name := range w.names {
			if wake, ok := r.process.wake[name]; ok && (!planned || wake.Before(next)) {
				next, planned = wake, true
			}
		}
	}
	return next, planned
}
