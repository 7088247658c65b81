// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"cmp"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/controller/access"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/notify"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// world is a namespace of its own with a provider simulator of its own, and the
// operator at work on it, once started.
type world struct {
	client.Client
	t         *testing.T
	namespace string
	simulator *simulator.Simulator
	server    *simulator.Server
	// policy is what the operator may call: the simulator.
	policy egress.Policy
	// verbosity of the operator's log, which goes to the journal.
	verbosity int
	journal   *journal
	// resync is how often the operator looks at everything again; 0: hardly ever.
	resync time.Duration
	// metrics of the operator that was started last.
	metrics *prometheus.Registry
	// clock of the operators and of the simulator.
	clock *shiftedClock
	// asked is how often a refresh was asked for, by credential.
	asked map[string]int
	// stateWrites stands in the way of the operators' writes of state Secrets.
	stateWrites stateWrites
	// namespaces that the operators watch; default: the world's own.
	namespaces []string
	// ownNamespace of the operators; default: that which all worlds share.
	ownNamespace string
	// selector of the credentials that the operators work on; default: all.
	selector labels.Selector
	// nudgePods turns nudges of pods on.
	nudgePods bool
	// wire, where it is set, stands between the operators and the API server.
	wire func(http.RoundTripper) http.RoundTripper
	// way, where it is set, stands between the operators and the providers.
	way func(egress.Caller) egress.Caller
	// notifier, where it is set, makes what each operator tells a webhook by.
	notifier func() *notify.Notifier
}

// newWorld makes a world in which the operator is not at work yet. Access tokens
// live for the lifetime given.
func newWorld(t *testing.T, lifetime simulator.Duration) *world {
	t.Helper()
	w := &world{Client: apiserver.NewClient(t), t: t, journal: &journal{}, clock: &shiftedClock{}, asked: map[string]int{}}
	options := simulator.DemoOptions(lifetime)
	options.Clock = w.clock.Now
	w.simulator = simulator.New(options)
	_, err := w.simulator.Add(simulator.Demo())
	must(t, err)
	w.server, err = w.simulator.Start("")
	must(t, err)
	t.Cleanup(func() { _ = w.server.Close() })
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	must(t, w.Create(t.Context(), namespace))
	w.namespace = namespace.Name
	t.Cleanup(func() { w.showTo(bystander) })
	w.trust(w.server.CAPEM())
	must(t, w.policy.AllowCIDRs.Set("127.0.0.0/8"))
	must(t, w.policy.Resolve.Set(strings.Join(w.server.Resolve(simulator.Hosts()...), ",")))
	return w
}

// trust lets the operator call servers that a certificate authority vouches for.
func (w *world) trust(pem []byte) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "ca.pem")
	must(w.t, os.WriteFile(file, pem, 0o600))
	must(w.t, w.policy.CAFiles.Set(file))
}

// concurrency is how many credentials an operator works on at once.
const concurrency = 8

// operator is a running manager.
type operator struct {
	t        *testing.T
	stop     context.CancelFunc
	done     chan error
	inFlight *sync.WaitGroup
	// ending is closed once the controllers have been told to end.
	ending chan struct{}
}

// start sets the operator to work on the world's namespace, and stops it when
// the test ends.
func (w *world) start() *operator {
	w.t.Helper()
	direct, err := egress.New(w.policy)
	must(w.t, err)
	var calls egress.Caller = direct
	if w.way != nil {
		calls = w.way(direct)
	}
	namespaces := w.namespaces
	if namespaces == nil {
		namespaces = []string{w.namespace}
	}
	selector := w.selector
	if selector == nil {
		selector = labels.Everything()
	}
	cache := access.CacheOptions(namespaces, selector)
	// Providers are the cluster's, and the tests share one: each operator keeps
	// to the provider of its own world.
	cache.ByObject[&v1alpha1.ClusterTokenProvider{}] = crcache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", w.cluster())}
	if w.resync > 0 {
		cache.SyncPeriod = &w.resync
	}
	config := rest.CopyConfig(apiserver.Config)
	if w.wire != nil {
		config.Wrap(w.wire)
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:     w.Scheme(),
		Logger:     funcr.NewJSON(w.journal.line, funcr.Options{Verbosity: w.verbosity}),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Cache:      cache,
		Client:     access.ClientOptions(),
		NewClient:  w.stateWrites.newClient,
		Controller: crconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	must(w.t, err)
	w.metrics = prometheus.NewRegistry()
	inFlight := &sync.WaitGroup{}
	var notifier *notify.Notifier
	if w.notifier != nil {
		notifier = w.notifier()
	}
	must(w.t, controller.SetupWithManager(w.t.Context(), mgr, controller.Options{
		Notifier:          notifier,
		BuiltInProviders:  []string{"*"},
		Egress:            calls,
		Clock:             w.clock,
		Holder:            "test/" + uuid.NewString(),
		InFlight:          inFlight,
		OwnNamespace:      cmp.Or(w.ownNamespace, corev1.NamespaceDefault),
		Namespaces:        namespaces,
		Concurrency:       concurrency,
		Registry:          w.metrics,
		CredentialMetrics: true,
		NudgePods:         w.nudgePods,
	}))
	ctx, cancel := context.WithCancel(context.Background())
	o := &operator{t: w.t, stop: cancel, done: make(chan error, 1), inFlight: inFlight, ending: make(chan struct{})}
	must(w.t, mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { // it ends as the controllers do
		<-ctx.Done()
		close(o.ending)
		return nil
	})))
	go func() { o.done <- mgr.Start(ctx) }()
	w.t.Cleanup(func() {
		w.stateWrites.intercept(nil) // a commit that is refused would hold the operator up for good
		o.shutDown()
	})
	return o
}

// shutDown stops the operator and waits until it has ended.
func (o *operator) shutDown() {
	o.stop()
	if o.done != nil {
		if err := <-o.done; err != nil {
			o.t.Errorf("the operator ended with an error: %v", err)
		}
		o.inFlight.Wait()
		o.done = nil
	}
}

// secret creates or replaces the data of a Secret.
func (w *world) secret(name string, data map[string]string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	_, err := ctrl.CreateOrUpdate(w.t.Context(), w, secret, func() error {
		secret.Data = nil
		secret.StringData = data
		return nil
	})
	must(w.t, err)
}

// changeSecret changes a Secret that exists.
func (w *world) changeSecret(name string, change func(*corev1.Secret)) {
	w.t.Helper()
	secret := &corev1.Secret{}
	must(w.t, w.Get(w.t.Context(), w.key(name), secret))
	before := secret.DeepCopy()
	change(secret)
	must(w.t, w.Patch(w.t.Context(), secret, client.MergeFrom(before)))
}

// deleteSecret deletes a Secret, if there is one.
func (w *world) deleteSecret(name string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	must(w.t, client.IgnoreNotFound(w.Delete(w.t.Context(), secret)))
}

// credential creates a TokenCredential.
func (w *world) credential(name string, spec v1alpha1.TokenCredentialSpec) *v1alpha1.TokenCredential {
	w.t.Helper()
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, Spec: spec}
	must(w.t, w.Create(w.t.Context(), credential))
	return credential
}

// edit changes a credential as a user would.
func (w *world) edit(name string, change func(*v1alpha1.TokenCredential)) {
	w.t.Helper()
	credential := &v1alpha1.TokenCredential{}
	must(w.t, w.Get(w.t.Context(), w.key(name), credential))
	before := credential.DeepCopy()
	change(credential)
	must(w.t, w.Patch(w.t.Context(), credential, client.MergeFrom(before)))
}

// askForRefresh sets the annotation that asks for a refresh. From the fourth on, each has
// ten seconds of its own, so that no test waits for the pace of requests.
func (w *world) askForRefresh(name, value string) {
	w.t.Helper()
	if w.asked[name]++; w.asked[name] > 3 {
		w.clock.shift(10 * time.Second)
	}
	w.edit(name, func(c *v1alpha1.TokenCredential) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.RefreshAtAnnotation, value)
	})
}

func (w *world) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: w.namespace, Name: name}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
