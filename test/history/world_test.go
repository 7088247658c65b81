// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/spool"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

const (
	shop      = "shop" // the credential
	twin      = "twin" // another on the same seed
	appName   = "app"
	seedName  = "seed"
	loginName = "login"
	appSecret = "hush"

	// lifetime of an access token.
	lifetime = 10 * time.Minute

	retryOnce = v1alpha1.RetryOnce
)

// world is one history.
type world struct {
	shared  *shared
	t       rapid.TB
	variant variant
	now     time.Time
	stats   *stats

	api       *apiServer
	simulator *simulator.Simulator
	replicas  []*replica
	names     []string // of the credentials that there ever were
	grants    int
	// seeds that were given, oldest first; backups of the state that were taken.
	seeds   []string
	backups []*corev1.Secret
	asked   int // refreshes that were asked for
	// appWrong is true while the app's secret is not what the provider knows.
	appWrong bool

	// deeds counts what users have done, and deedAt is the version of the API server
	// after the last of it.
	deeds  int
	deedAt uint64
	// writer is the process whose write is being done; nil: a user's.
	writer *process
	// refusals of writes that a policy or a quota makes until it is lifted.
	refusesTargets, refusesStates bool

	tokens map[string]*tokenFate
	claims map[string]*claim // by the attempt's ID
	// obtained is when each credential last got an access token.
	obtained map[string]obtained
	// issued is when the provider issued each access token.
	issued map[string]time.Time
	// tried is true of a credential from a call on, until one brings an access token.
	tried map[string]bool
	// underWay are requests that their senders have given up.
	underWay []*request
	// stateTokens are the access tokens that a state ever held.
	stateTokens map[string]bool
	violation   string
	// stateDeleted is true once the user has thrown a state away.
	stateDeleted bool
	// restored is true once the user has put a backup in a state's place, or etcd was
	// put back, and putBack after the latter.
	restored, putBack bool
	// forgotten is true once a process has written a state that did not know what was there
	// before etcd was put back.
	forgotten bool
	// writesBack is true once the operator may have written to the user's Secret.
	writesBack bool
	// mistyped is true once the user has mistyped a seed.
	mistyped bool
	// trace is what the model is to do as well.
	trace modelTrace
	// atRest is true once everything has come to rest.
	atRest bool
	// script says what becomes of effects that nobody draws; nil: each is done.
	script func(*visit) fate
	// podsEnd is true where a process of the script dies with its pod, and awayFor how long
	// it takes until there is another one.
	podsEnd bool
	awayFor time.Duration
}

// setup is what a world begins with.
type setup struct {
	variant variant
	// every is after how many refreshes a server that rotates now and then gives another
	// token.
	every int
	// withSeed is false where the user has a login alone.
	withSeed  bool
	withSpool bool
	// carries is what couriers the pods have.
	carries courierKind
	// clocks are how far each replica's clock is ahead.
	clocks []time.Duration
}

// drawSetup draws the kind of provider, one or two replicas, how far their clocks are
// off, and whether they have a spool.
func drawSetup(t *rapid.T) setup {
	s := setup{variant: rapid.SampledFrom(variants()).Draw(t, "provider"), withSeed: true}
	if s.variant.auto == rotatesAtTime {
		s.every = rapid.SampledFrom([]int{2, 3, 10}).Draw(t, "rotates each")
	}
	if s.variant.login {
		s.withSeed = rapid.Bool().Draw(t, "with a seed")
	}
	clocks := []time.Duration{0, 0, time.Hour, -time.Hour, 7 * time.Minute}
	if s.variant.window > 0 {
		clocks = clocks[:1] // a window is measured from one replica's clock on another's: see the package comment
	}
	s.withSpool = rapid.IntRange(0, 7).Draw(t, "with a spool") == 7
	s.carries = rapid.SampledFrom([]courierKind{noCourier, forgetful, keeping}).Draw(t, "courier")
	for range rapid.IntRange(1, 2).Draw(t, "replicas") {
		s.clocks = append(s.clocks, rapid.SampledFrom(clocks).Draw(t, "clock"))
	}
	return s
}

// newWorld makes a world in which a user has just created a credential.
func newWorld(t rapid.TB, shared *shared, setup setup) *world {
	w := &world{
		shared: shared, t: t, stats: &shared.stats,
		variant:     setup.variant,
		now:         time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		names:       []string{shop},
		tokens:      map[string]*tokenFate{},
		stateTokens: map[string]bool{},
		claims:      map[string]*claim{},
		obtained:    map[string]obtained{},
		tried:       map[string]bool{},
		issued:      map[string]time.Time{},
	}
	w.api = newAPIServer(func() time.Time { return w.now })
	w.api.written = w.noteWrite
	w.simulator = w.newSimulator(setup.every)
	w.put(appName, map[string]string{"app_key": "app", "app_secret": appSecret})
	if w.variant.login {
		w.put(loginName, map[string]string{"username": "user", "password": "word"})
	}
	if setup.withSeed {
		w.giveSeed(w.authorize())
	}
	w.createCredential(shop)
	w.done()
	for i, clock := range setup.clocks {
		r := &replica{name: string(rune('a' + i)), clock: clock, carries: setup.carries}
		w.replicas = append(w.replicas, r)
		w.newPod(r, setup.withSpool)
		r.process.catchUp()
	}
	return w
}

// newPod gives a replica a pod of its own, and a first process.
func (w *world) newPod(r *replica, withSpool bool) {
	r.pods++
	r.horizon = nil
	w.removeSpool(r)
	w.newCourierPod(r)
	if withSpool {
		r.spoolDirectory = filepath.Join(w.shared.directory, fmt.Sprintf("%s%d", r.name, r.pods))
		w.must(os.MkdirAll(r.spoolDirectory, 0o700))
		var err error
		r.spool, err = spool.Open(r.spoolDirectory)
		w.must(err)
	}
	w.start(r)
}

func (w *world) removeSpool(r *replica) {
	if r.spool != nil {
		w.must(os.RemoveAll(r.spoolDirectory))
		r.spool = nil
	}
}

// end ends all that still runs.
func (w *world) end() {
	for _, r := range w.replicas {
		r.process.kill()
		w.removeSpool(r)
		w.endCourier(r)
	}
}

// visits under way.
func (w *world) visits() []*visit {
	var all []*visit
	for _, p := range w.processes() {
		all = append(all, p.visits...)
	}
	return all
}

// processes that live, of managers and of couriers.
func (w *world) processes() []*process {
	var all []*process
	for _, r := range w.replicas {
		if r.process != nil {
			all = append(all, r.process)
		}
		if r.courier != nil {
			all = append(all, r.courier.process)
		}
	}
	return all
}

// put creates or replaces a user's Secret.
func (w *world) put(name string, data map[string]string) {
	bytes := map[string][]byte{}
	for key, value := range data {
		bytes[key] = []byte(value)
	}
	if w.api.secret(name) != nil {
		change(w.api, secrets, name, func(s *corev1.Secret) { s.Data = bytes })
		return
	}
	w.must(w.api.create(secrets, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.SecretTypeOpaque, Data: bytes}))
}

func (w *world) giveSeed(token string) {
	w.seeds = append(w.seeds, token)
	w.put(seedName, map[string]string{"refresh_token": token})
}

func (w *world) createCredential(name string) {
	w.must(w.api.create(credentials, w.variant.newCredential(name)))
}

// done notes that a user has done something.
func (w *world) done() {
	w.deeds++
	w.deedAt = w.api.latest
}

// admit is the answer of quotas and admission webhooks to a write of a Secret.
func (w *world) admit(name string) error {
	switch {
	case w.refusesTargets && strings.HasSuffix(name, targetOf("")):
		return apierrors.NewForbidden(secrets.resource(), name, errors.New("exceeded quota: few, requested: count/secrets=1"))
	case w.refusesStates && strings.HasSuffix(name, stateOf("")):
		return apierrors.NewForbidden(secrets.resource(), name, errors.New("the states are frozen"))
	}
	return nil
}

func targetOf(credential string) string { return credential + "-token" }
func stateOf(credential string) string  { return credential + v1alpha1.StateSecretSuffix }

// violated keeps the first violation; the machine tells of it after the step.
func (w *world) violated(what string) {
	if w.violation == "" {
		w.violation = what
	}
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Fatalf("the simulation itself fails: %v", err)
	}
}
