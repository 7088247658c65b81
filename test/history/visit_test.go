// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"testing/synctest"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// activity of a process.
type activity string

const (
	reconciles activity = "reconcile"
	writes     activity = "write status"
	commits    activity = "commit"
	reads      activity = "read for"
	carries    activity = "carry the exchange of"
)

// visit is one thing that a process does for a credential, on a goroutine of its own
// that runs only while the machine waits for it.
type visit struct {
	process *process
	// asker is the manager whose exchange a courier carries; nil: it is the process's own.
	asker      *process
	activity   activity
	credential string
	// at is what it is about to do; nil while it waits for another visit of its
	// process, and once it has ended.
	at     *effect
	ended  bool
	resume chan fate
	// waitsFor is the exchange at the courier whose reply it awaits.
	waitsFor *visit

	// What a reconcile saw when it began.
	policy    v1alpha1.UnknownOutcomePolicy
	suspended bool
	seen      uint64 // the version of its cache
	version   int    // of what users have done, where its cache showed all of that; else 0
	// sent is the refresh token that was sent, holds the one that a reply brought, and
	// brings its access token.
	sent, holds, brings string

	result   ctrl.Result
	err      error
	died     bool
	panicked string
}

func (v *visit) String() string {
	doing := "waits for another"
	if v.at != nil {
		doing = "about to " + v.at.String()
	}
	return fmt.Sprintf("%s, %s %s: %s", v.process.name, v.activity, v.credential, doing)
}

type visitKey struct{}

func visitOf(ctx context.Context) *visit { return ctx.Value(visitKey{}).(*visit) }

// reconcile begins a reconcile of a credential and runs it to its first effect.
func (p *process) reconcile(credential string) *visit {
	w := p.world
	p.link.tell()
	p.hosts.Tick(w.now.Add(p.replica.clock))
	delete(p.wake, credential)
	p.looked[credential] = p.seen()
	w.stats.Visits++
	v := p.newVisit(reconciles, credential)
	v.sees(p.inCache(objectKey{credentials, credential}).object)
	v.seen = min(p.seenCredentials, p.seenSecrets)
	if p.seenCredentials >= w.deedAt && p.seenSecrets >= w.deedAt && p.hidden == 0 {
		v.version = w.deeds
	}
	v.start(func(ctx context.Context) (err error) {
		v.result, err = p.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: credential}})
		return err
	})
	w.await()
	return v
}

// sees notes what a reconcile sees of its credential.
func (v *visit) sees(object client.Object) {
	v.policy, v.suspended = v.process.world.variant.policy, false
	seen, found := object.(*v1alpha1.TokenCredential)
	if !found {
		return
	}
	v.suspended = seen.Spec.Suspend
	if seen.Spec.OnUnknownOutcome != "" {
		v.policy = seen.Spec.OnUnknownOutcome
	}
}

// begin begins another activity.
func (p *process) begin(what activity, credential string, run func(context.Context) error) *visit {
	v := p.newVisit(what, credential)
	v.start(run)
	p.world.await()
	return v
}

// outlive is what a reconcile leaves behind: a visit of its own, which holds what the
// reconcile held and waits for its turn.
func (p *process) outlive(ctx context.Context, run func(context.Context)) {
	parent := visitOf(ctx)
	v := p.newVisit(commits, parent.credential)
	v.sent, v.holds, v.brings = parent.sent, parent.holds, parent.brings
	v.at = &effect{verb: "go on with", name: "what could not be saved", fates: replyFates}
	v.start(func(ctx context.Context) error { run(ctx); return nil })
}

func (p *process) newVisit(what activity, credential string) *visit {
	v := &visit{process: p, activity: what, credential: credential, resume: make(chan fate)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.visits = append(p.visits, v)
	return v
}

// visitAt is the visit that does something for a credential, or nil.
func (p *process) visitAt(what activity, credential string) *visit {
	for _, v := range p.visits {
		if v.activity == what && v.credential == credential {
			return v
		}
	}
	return nil
}

// mover is what a visit does next, or what is to be done before it can go on; nil: it has
// ended, or waits for nobody.
func (v *visit) mover() *visit {
	switch parked := v.process.parked(); {
	case v.ended:
	case v.at != nil:
		return v
	case v.waitsFor != nil && v.waitsFor.at != nil:
		return v.waitsFor
	case len(parked) > 0:
		for _, other := range parked {
			if other.activity == reads && other.credential == v.credential {
				return other
			}
		}
		return parked[0]
	}
	return nil
}

// decides is the process that has decided what a visit does.
func (v *visit) decides() *process {
	if v.asker != nil {
		return v.asker
	}
	return v.process
}

// parked are the visits that are about to do something.
func (p *process) parked() []*visit {
	return slices.DeleteFunc(slices.Clone(p.visits), func(v *visit) bool { return v.at == nil })
}

func (v *visit) start(run func(context.Context) error) {
	go func() {
		v.died = true // unless run returns
		defer func() {
			if cause := recover(); cause != nil {
				v.panicked = fmt.Sprintf("%v\n%s", cause, debug.Stack())
			}
			v.ended = true
		}()
		if v.at != nil && <-v.resume == killedBefore {
			return
		}
		v.err = run(context.WithValue(v.process.ctx, visitKey{}, v))
		v.died = false
	}()
}

// park waits for the machine before an effect.
func (v *visit) park(e *effect) fate {
	if v.process.killed {
		v.die()
	}
	v.at = e
	decided := <-v.resume
	if decided == killedBefore {
		v.die()
	}
	return decided
}

// die ends the visit's goroutine, and with it whatever it held.
func (v *visit) die() { runtime.Goexit() }

// meet lets a visit's next effect meet its fate, and waits until all have come to
// their next one, wait for each other, or have ended.
func (v *visit) meet(decided fate) {
	v.at = nil
	v.resume <- decided
	v.process.world.await()
}

// await waits until every visit is about to do something, waits for another, or has
// ended. It sleeps in the time of the bubble, which moves once all others wait: so that
// the pause between two tries of a commit ends, too.
func (w *world) await() {
	time.Sleep(time.Microsecond)
	synctest.Wait()
	for _, p := range w.processes() {
		var ended []*visit // which hold nothing any more
		p.visits = slices.DeleteFunc(p.visits, func(v *visit) bool {
			if v.ended {
				ended = append(ended, v)
			}
			return v.ended
		})
		for _, v := range ended {
			v.conclude()
		}
	}
}

// conclude notes how a visit ended.
func (v *visit) conclude() {
	p := v.process
	switch {
	case v.panicked != "":
		p.world.t.Errorf("a visit panicked: %s", v.panicked)
	case v.died || v.activity != reconciles:
	case v.err != nil:
		p.plan(v.credential, p.world.now.Add(time.Second))
	case v.result.RequeueAfter > 0:
		p.plan(v.credential, p.world.now.Add(v.result.RequeueAfter))
	}
	if v.activity == reconciles && !v.died {
		p.world.judgeDropped(v)
	}
	if !p.killed && v.activity != reads {
		p.world.t.Logf("         %s, %s %s: ended: %+v %v", p.name, v.activity, v.credential, v.result, v.err)
	}
}
