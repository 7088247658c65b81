// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/go-logr/logr"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// labelSet is short for what selectors match.
type labelSet = labels.Set

// replica is a pod, and one process after the other in its container.
type replica struct {
	name string
	// clock is how far the replica's clock is ahead.
	clock time.Duration
	// pods and processes that there were.
	pods, processes int
	spool           *rotation.Spool
	spoolDirectory  string
	process         *process
}

// process is one life of the operator.
type process struct {
	world      *world
	replica    *replica
	name       string
	reconciler *controller.Reconciler
	ctx        context.Context
	stop       context.CancelFunc
	draining   bool
	visits     map[string]*visit // under way, by credential
	// seenCredentials and seenSecrets are how far its cache has come.
	seenCredentials, seenSecrets uint64
	// wake is when each credential is next to be looked at, where that is planned.
	wake map[string]time.Time
}

// start gives a replica a new process.
func (w *world) start(r *replica) {
	r.processes++
	p := &process{world: w, replica: r, name: fmt.Sprintf("%s.%d", r.name, r.processes), visits: map[string]*visit{}, wake: map[string]time.Time{}}
	if before := r.process; before != nil {
		p.seenCredentials, p.seenSecrets = before.seenCredentials, before.seenSecrets
	}
	ctx := log.IntoContext(context.Background(), logr.New(silent{}))
	p.ctx, p.stop = context.WithCancel(ctx)
	manager := &apiClient{process: p, cachedCredentials: true}
	live := &apiClient{process: p}
	p.reconciler = &controller.Reconciler{
		Client:   manager,
		Live:     live,
		Catalog:  w.shared.catalog,
		Secrets:  &controller.Secrets{Metadata: &apiClient{process: p, cachedMetadata: true}, Live: &apiClient{process: p, shared: true}},
		States:   &rotation.Store{Client: manager, Cluster: "cluster", Backoff: &wait.Backoff{Duration: 1}},
		Targets:  &target.Publisher{Client: manager},
		Egress:   &caller{world: w},
		Rates:    &pace.Rates{},
		Hosts:    pace.NewHosts(8, func(who types.NamespacedName) { p.wake[who.Name] = w.now }),
		Metrics:  w.shared.metrics,
		Events:   deaf{},
		Clock:    &replicaClock{world: w, replica: r},
		Holder:   r.spool.Holder(p.name),
		Spool:    r.spool,
		InFlight: &sync.WaitGroup{},
	}
	r.process = p
}

// kill ends a process at once, wherever its visits are.
func (p *process) kill() {
	for _, name := range p.world.names {
		if visit := p.visits[name]; visit != nil {
			visit.resume <- killedBefore
			visit.await()
		}
	}
	p.stop()
}

// replicaClock is the world's, some time ahead.
type replicaClock struct {
	world   *world
	replica *replica
}

// Now implements clock.PassiveClock.
func (c *replicaClock) Now() time.Time { return c.world.now.Add(c.replica.clock) }

// Since implements clock.PassiveClock.
func (c *replicaClock) Since(moment time.Time) time.Duration { return c.Now().Sub(moment) }

// visit is one call of Reconcile, on a goroutine of its own that runs only while
// the machine waits for it.
type visit struct {
	process    *process
	credential string
	at         *effect // what it is about to do; nil once it has ended
	parked     chan struct{}
	resume     chan fate
	// policy for unknown outcomes, as the visit saw it when it began.
	policy v1alpha1.UnknownOutcomePolicy
	// holds is the refresh token that a reply brought.
	holds    string
	result   ctrl.Result
	err      error
	died     bool
	panicked string
}

type visitKey struct{}

func visitOf(ctx context.Context) *visit { return ctx.Value(visitKey{}).(*visit) }

// begin starts a visit and runs it to its first effect.
func (p *process) begin(credential string) *visit {
	v := &visit{process: p, credential: credential, policy: p.policy(credential), parked: make(chan struct{}, 1), resume: make(chan fate)}
	p.visits[credential] = v
	delete(p.wake, credential)
	p.world.stats.Visits++
	go v.run()
	v.await()
	return v
}

func (v *visit) run() {
	v.died = true // unless Reconcile returns
	defer func() {
		if cause := recover(); cause != nil {
			v.panicked = fmt.Sprintf("%v\n%s", cause, debug.Stack())
		}
		v.at = nil
		v.parked <- struct{}{}
	}()
	ctx := context.WithValue(v.process.ctx, visitKey{}, v)
	v.result, v.err = v.process.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: v.credential}})
	v.died = false
}

// await waits until the visit has come to its next effect, or to its end.
func (v *visit) await() {
	<-v.parked
	if v.at != nil {
		return
	}
	p := v.process
	delete(p.visits, v.credential)
	switch {
	case v.panicked != "":
		p.world.t.Errorf("a visit panicked: %s", v.panicked)
	case v.died:
	case v.err != nil:
		p.wake[v.credential] = p.world.now.Add(time.Second)
	case v.result.RequeueAfter > 0:
		p.wake[v.credential] = p.world.now.Add(v.result.RequeueAfter)
	}
}

// park waits for the machine before an effect.
func (v *visit) park(e *effect) fate {
	v.at = e
	v.parked <- struct{}{}
	decided := <-v.resume
	if decided == killedBefore {
		v.die()
	}
	return decided
}

// die ends the visit's goroutine, and with it whatever it held.
func (v *visit) die() { runtime.Goexit() }

// silent drops what is logged.
type silent struct{}

func (silent) Init(logr.RuntimeInfo)            {}
func (silent) Enabled(int) bool                 { return false }
func (silent) Info(int, string, ...any)         {}
func (silent) Error(error, string, ...any)      {}
func (s silent) WithValues(...any) logr.LogSink { return s }
func (s silent) WithName(string) logr.LogSink   { return s }

// deaf drops events.
type deaf struct{}

var _ events.EventRecorder = deaf{}

// Eventf implements events.EventRecorder.
//
//nolint:revive // client-go wants seven arguments
func (deaf) Eventf(_, _ k8sruntime.Object, _, _, _, _ string, _ ...any) {}
