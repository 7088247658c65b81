// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

const (
	shop      = "shop" // the credential
	twin      = "twin" // another on the same seed
	appName   = "app"
	seedName  = "seed"
	appSecret = "hush"

	// lifetime of an access token.
	lifetime = 10 * time.Minute

	retryOnce = v1alpha1.RetryOnce
)

// variant is a kind of provider.
type variant struct {
	name    string
	policy  v1alpha1.UnknownOutcomePolicy
	window  time.Duration
	revokes bool // reuse revokes the family
}

// variants of providers. RetryOnce where reuse revokes the family is none of
// them: it is not safe, which is why such a provider declares Hold.
func variants() []variant {
	return []variant{
		{name: "hold", policy: v1alpha1.Hold},
		{name: "hold-revokes", policy: v1alpha1.Hold, revokes: true},
		{name: "retry", policy: v1alpha1.RetryOnce},
		{name: "window", policy: v1alpha1.Hold, window: 3 * time.Minute},
		{name: "window-retry", policy: v1alpha1.RetryOnce, window: 3 * time.Minute},
	}
}

// shared is what histories have in common, and does not change.
type shared struct {
	catalog *controller.Catalog
	metrics *controller.Metrics
	// directory for spools, in memory where the system has one.
	directory string
	stats     stats
	began     time.Time
	reports   io.Writer // nil: nobody asked
	reported  time.Time
}

// newShared compiles the providers: the built-in oauth2, each with another way
// of rotation.
func newShared(directory string) (*shared, error) {
	builtIns, err := builtin.Specs()
	if err != nil {
		return nil, err
	}
	specs := map[string]v1alpha1.ClusterTokenProviderSpec{}
	for _, each := range variants() {
		spec := builtIns["oauth2"]
		spec.Rotation.OnUnknownOutcome = each.policy
		spec.Rotation.ReuseWindow = &v1alpha1.Duration{Duration: metav1.Duration{Duration: each.window}}
		specs[each.name] = spec
	}
	catalog, err := controller.NewCatalog(nil, specs, []string{"*"})
	return &shared{catalog: catalog, metrics: controller.NewMetrics(prometheus.NewRegistry()), directory: directory, reports: openReports()}, err
}

// world is one history.
type world struct {
	shared  *shared
	t       *rapid.T
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

	tokens map[string]*tokenFate
	// underWay are requests that their senders have given up.
	underWay []*request
	// stateTokens are the access tokens that a state ever held.
	stateTokens map[string]bool
	violation   string
	// stateDeleted is true once the user has thrown a state away.
	stateDeleted bool
	// restored is true once the user has put a backup in a state's place.
	restored bool
}

// newWorld draws a world: the kind of provider, one or two replicas, how far
// their clocks are off, and whether they have a spool.
func newWorld(t *rapid.T, shared *shared) *world {
	w := &world{
		shared: shared, t: t, stats: &shared.stats,
		variant:     rapid.SampledFrom(variants()).Draw(t, "provider"),
		now:         time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		names:       []string{shop},
		tokens:      map[string]*tokenFate{},
		stateTokens: map[string]bool{},
	}
	w.api = newAPIServer(func() time.Time { return w.now })
	w.api.written = w.noteWrite
	w.simulator = w.newSimulator()
	w.put(appName, map[string]string{"app_key": "app", "app_secret": appSecret})
	w.giveSeed(w.authorize())
	w.createCredential(shop)

	clocks := []time.Duration{0, 0, time.Hour, -time.Hour, 7 * time.Minute}
	if w.variant.window > 0 {
		clocks = clocks[:1] // a window is measured from one replica's clock on another's: see the package comment
	}
	withSpool := rapid.IntRange(0, 15).Draw(t, "with a spool") == 15
	for i := range rapid.IntRange(1, 2).Draw(t, "replicas") {
		r := &replica{name: string(rune('a' + i)), clock: rapid.SampledFrom(clocks).Draw(t, "clock")}
		w.replicas = append(w.replicas, r)
		w.newPod(r, withSpool)
		r.process.catchUp()
	}
	return w
}

// newPod gives a replica a pod of its own, and a first process.
func (w *world) newPod(r *replica, withSpool bool) {
	r.pods++
	w.removeSpool(r)
	if withSpool {
		r.spoolDirectory = filepath.Join(w.shared.directory, fmt.Sprintf("%s%d", r.name, r.pods))
		w.must(os.MkdirAll(r.spoolDirectory, 0o700))
		var err error
		r.spool, err = rotation.OpenSpool(r.spoolDirectory)
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
	}
}

// catchUp brings a process's cache up to date.
func (p *process) catchUp() {
	p.seenCredentials, p.seenSecrets = p.world.api.latest, p.world.api.latest
}

// visits under way.
func (w *world) visits() []*visit {
	var all []*visit
	for _, r := range w.replicas {
		for _, name := range w.names {
			if visit := r.process.visits[name]; visit != nil {
				all = append(all, visit)
			}
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
	w.must(w.api.create(credentials, &v1alpha1.TokenCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.TokenCredentialSpec{
			ProviderRef:           v1alpha1.ProviderReference{Kind: v1alpha1.BuiltInProvider, Name: w.variant.name},
			Parameters:            map[string]string{"tokenURL": "https://id.example/oauth/token"},
			AppSecretRef:          &v1alpha1.AppSecretReference{Name: appName},
			RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: seedName},
			Renewal:               v1alpha1.Renewal{Percentage: 80},
			Target: v1alpha1.Target{
				Name:     v1alpha1.SecretName(targetOf(name)),
				Template: &v1alpha1.TargetTemplate{Data: map[string]string{"access_token": "${accessToken}"}}, // one alone: each visit compiles them
			},
		},
	}))
}

func targetOf(credential string) string { return credential + "-token" }
func stateOf(credential string) string  { return credential + v1alpha1.StateSecretSuffix }

// policy that holds for a credential, as a process sees it.
func (p *process) policy(name string) v1alpha1.UnknownOutcomePolicy {
	seen, _ := p.world.api.at(credentials, name, p.seenCredentials).(*v1alpha1.TokenCredential)
	if seen != nil && seen.Spec.OnUnknownOutcome != "" {
		return seen.Spec.OnUnknownOutcome
	}
	return p.world.variant.policy
}

// stored is what the machine reads of a state Secret.
type stored struct {
	exists       bool
	refreshToken string
	accessToken  string
	seed         string
	spent        string
	attempt      *rotation.Attempt
	restored     bool // a copy
}

func (w *world) state(credential string) stored {
	secret := w.api.secret(stateOf(credential))
	if secret == nil {
		return stored{}
	}
	s := stored{
		exists:       true,
		refreshToken: string(secret.Data["refresh_token"]),
		accessToken:  string(secret.Data["access_token"]),
		seed:         string(secret.Data["seed"]),
		spent:        string(secret.Data["spent"]),
	}
	if attempt := secret.Data["attempt"]; attempt != nil {
		w.must(json.Unmarshal(attempt, &s.attempt))
	}
	var identity rotation.Identity
	if encoded := secret.Data["identity"]; encoded != nil {
		w.must(json.Unmarshal(encoded, &identity))
	}
	s.restored = identity.Secret != "" && identity.Secret != string(secret.UID)
	return s
}

// noteWrite looks at each object as it is written: the target never shows a
// token of an exchange that no state held.
func (w *world) noteWrite(kind kind, object client.Object) {
	if kind != secrets {
		return
	}
	secret := object.(*corev1.Secret)
	token := string(secret.Data["access_token"])
	switch {
	case token == "":
	case secret.Type == v1alpha1.StateSecretType:
		w.stateTokens[token] = true
	case !w.stateTokens[token]:
		w.violated(fmt.Sprintf("the target %s holds %s, which no state ever held", secret.Name, token))
	}
}

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
