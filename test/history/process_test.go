// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	keys "github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/budget"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/saving"
	"github.com/tokenkeeper/tokenkeeper/internal/report"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/horizon"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/spool"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// digestKey of all processes. It is not random: a history is the same each time.
var digestKey, _ = keys.New(make([]byte, 32))

// replica is a pod, and one process after the other in its container.
type replica struct {
	name string
	// clock is how far the replica's clock is ahead.
	clock time.Duration
	// pods and processes that there were.
	pods, processes int
	spool           *spool.Spool
	spoolDirectory  string
	horizon         *horizon.Horizon // kept beside the spool
	process         *process
	// carries is what the pod's courier is, and couriers how many there were.
	carries          courierKind
	couriers         int
	courier          *carrier // nil: there is none
	courierDirectory string
}

// process is one life of the operator.
type process struct {
	world      *world
	replica    *replica
	name       string
	reconciler *controller.Reconciler
	reports    *report.Lane
	hosts      *pace.Hosts
	ctx        context.Context
	stop       context.CancelFunc
	dead       chan struct{} // closed when it is killed
	link       *link         // to the courier; nil: there is none
	// draining after a SIGTERM: no reconcile begins. The statuses that are unwritten
	// then are written once no reconcile and no commit is left.
	draining, writesLast, killed bool
	// seenCredentials and seenSecrets are how far its cache has come.
	seenCredentials, seenSecrets uint64
	// unaware of what was there before etcd was put back, and livedThrough it.
	unaware, livedThrough bool
	// seenState is the version at which it last read or wrote each state Secret.
	seenState map[string]uint64
	// looked is what its cache had come to when it last began to look at each credential.
	looked map[string]position

	// hidden is the version of a change that its cache never shows; 0: none.
	hidden uint64
	// staleRead is which of the reads of its cache is to be stale; 0: none.
	staleRead int

	// Two visits run at the same time for a moment where one waited for the other.
	mu sync.Mutex
	// cacheReads counts what was read from its cache; shown is the version of each object
	// that was; and fresh are the reads that were the first to show a version.
	cacheReads int
	shown      map[objectKey]uint64
	fresh      []freshRead
	visits     []*visit // under way, as they began
	// wake is when each credential is next to be looked at, where that is planned.
	wake map[string]time.Time
}

// start gives a replica a new process.
func (w *world) start(r *replica) {
	r.processes++
	p := &process{
		world: w, replica: r, name: fmt.Sprintf("%s.%d", r.name, r.processes),
		wake: map[string]time.Time{}, seenState: map[string]uint64{}, looked: map[string]position{}, shown: map[objectKey]uint64{},
		dead: make(chan struct{}),
	}
	if r.spool != nil { // what an earlier process has left is known as such
		var err error
		r.spool, err = spool.Open(r.spoolDirectory)
		w.must(err)
	}
	p.link = newLink(p)
	if before := r.process; before != nil {
		p.seenCredentials, p.seenSecrets = before.seenCredentials, before.seenSecrets
	}
	if r.horizon == nil || r.spool == nil { // a pod without a spool remembers nothing
		var err error
		r.horizon, err = horizon.Open("", "cluster")
		w.must(err)
	}
	_, err := r.horizon.Passed(r.horizon.Newest(), strconv.FormatUint(w.api.latest, 10))
	w.must(err)
	p.unaware = w.putBack && (r.horizon.Restored() == "" || w.forgotten)
	p.ctx, p.stop = context.WithCancel(log.IntoContext(context.Background(), logr.New(silent{})))
	p.assemble()
	r.process = p
}

// assemble puts the operator together as a manager does.
func (p *process) assemble() {
	w, r := p.world, p.replica
	manager, live := &apiClient{process: p, cachedCredentials: true}, &apiClient{process: p}
	clock := &replicaClock{world: w, replica: r}
	gatherer := &inputs.Gatherer{
		Catalog: w.shared.catalog,
		Secrets: &inputs.Secrets{
			Metadata: &apiClient{process: p, cachedMetadata: true}, Live: &apiClient{process: p, shared: true},
			Shown: func() string { return strconv.FormatUint(p.seenSecrets, 10) },
		},
	}
	way, known := p.link.callers(w)
	p.hosts = pace.NewHosts(workers, p.wakeUp)
	p.reports = &report.Lane{Client: manager, Live: live, Events: deaf{}, Wake: p.wakeUp}
	inFlight := &sync.WaitGroup{}
	p.reconciler = controller.NewReconciler(controller.Parts{
		Client:  manager,
		Live:    live,
		Inputs:  gatherer,
		Targets: &target.Publisher{Client: manager, Key: digestKey},
		Reports: p.reports,
		Hosts:   p.hosts,
		Metrics: w.shared.metrics,
		Clock:   clock,
		Refresher: &refresh.Refresher{
			Inputs: gatherer,
			Twins:  &twins.Finder{Client: manager, Live: live, Marks: marks.Marks{Cluster: "cluster", Key: digestKey}},
			Calls: &call.Caller{
				Egress: way, Courier: known, Rates: &budget.Rates{}, Hosts: p.hosts, Metrics: w.shared.metrics, Clock: clock, Key: digestKey,
			},
			Saver: &saving.Saver{
				States:   &store.Store{Client: manager, Cluster: "cluster", Key: digestKey, Backoff: &wait.Backoff{Duration: 1}},
				Spool:    r.spool,
				Metrics:  w.shared.metrics,
				InFlight: inFlight,
				Go:       p.outlive,
				Wake:     p.wakeUp,
			},
			Horizon:  r.horizon,
			Clock:    clock,
			Holder:   r.spool.Holder(p.name),
			InFlight: inFlight,
		},
	})
}

// workers of a process: more than there are credentials.
const workers = 8

func (p *process) wakeUp(credential types.NamespacedName) { p.plan(credential.Name, p.world.now) }

// plan notes when a credential is to be looked at.
func (p *process) plan(credential string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, planned := p.wake[credential]; !planned || at.Before(known) {
		p.wake[credential] = at
	}
}

// catchUp brings a process's cache up to date.
func (p *process) catchUp() {
	p.seenCredentials, p.seenSecrets = p.world.api.latest, p.world.api.latest
	p.noticeCredentials()
}

// noticeCredentials shows the lane what has come into the cache.
func (p *process) noticeCredentials() {
	for _, name := range p.world.names {
		if seen, ok := p.inCache(objectKey{credentials, name}).object.(*v1alpha1.TokenCredential); ok {
			p.reports.Seen(seen)
		}
	}
}

// unwritten are the credentials whose status is not written, and nobody is at it.
func (p *process) unwritten() []string {
	var names []string
	for _, key := range p.reports.Unwritten() {
		if p.visitAt(writes, key.Name) == nil {
			names = append(names, key.Name)
		}
	}
	slices.Sort(names)
	return names
}

// write begins to write the status of a credential.
func (p *process) write(credential string) *visit {
	key := types.NamespacedName{Namespace: namespace, Name: credential}
	return p.begin(writes, credential, func(ctx context.Context) error {
		return p.reports.Write(context.WithoutCancel(ctx), key)
	})
}

// saw notes at which version a process read or wrote a Secret.
func (p *process) saw(secret *corev1.Secret) {
	version, _ := strconv.ParseUint(secret.ResourceVersion, 10, 64)
	p.seenState[secret.Name] = max(p.seenState[secret.Name], version)
}

// kill ends a process at once, wherever its visits are.
func (p *process) kill() {
	p.killed = true
	p.stop()
	close(p.dead)
	p.world.await()
	for len(p.visits) > 0 {
		parked := p.parked()
		if len(parked) == 0 {
			p.world.t.Fatalf("the simulation itself fails: %s cannot be killed", p.visits[0])
		}
		parked[0].meet(killedBefore)
	}
}

// drain goes on with the end of a process that was asked to end.
func (p *process) drain() {
	if !p.draining || p.killed || len(p.visits) > 0 {
		return
	}
	if !p.writesLast {
		p.writesLast = true
		for _, name := range p.unwritten() {
			p.write(name)
		}
	}
	if len(p.visits) == 0 {
		p.killed = true
		p.world.start(p.replica)
	}
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

// freshRead is a read of the cache that was the first to show a version of an object.
type freshRead struct {
	number int
	of     objectKey
}

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

var _ report.Events = deaf{}

// Record implements report.Events.
func (deaf) Record(context.Context, *v1alpha1.TokenCredential, status.Event) {}

// describe says what a process is doing.
func (p *process) describe() string {
	var text strings.Builder
	for _, v := range p.visits {
		fmt.Fprintf(&text, "%s\n", v)
	}
	if names := p.unwritten(); len(names) > 0 {
		fmt.Fprintf(&text, "%s has not written the status of %s\n", p.name, strings.Join(names, ", "))
	}
	return text.String()
}
