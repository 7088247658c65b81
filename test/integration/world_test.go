// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// patience bounds a wait for a condition. Nothing is ever awaited that long
// where all is well.
const patience = 60 * time.Second

// world is a namespace of its own with a provider simulator of its own, and the
// operator at work on it, once started.
type world struct {
	client.Client
	t         *testing.T
	namespace string
	simulator *simulator.Simulator
	server    *simulator.Server
	metrics   *prometheus.Registry
	// policy is what the operator may call: the simulator.
	policy egress.Policy
}

// newWorld makes a world in which the operator is not at work yet. Access tokens
// live for the lifetime given.
func newWorld(t *testing.T, lifetime simulator.Duration) *world {
	t.Helper()
	w := &world{Client: newClient(t), t: t, simulator: simulator.New(simulator.DemoOptions(lifetime))}
	if _, err := w.simulator.Add(simulator.Demo()); err != nil {
		t.Fatal(err)
	}
	server, err := w.simulator.Start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	w.server = server
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := w.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	w.namespace = namespace.Name
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, server.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, w.policy.CAFiles.Set(caFile))
	must(t, w.policy.AllowCIDRs.Set("127.0.0.0/8"))
	must(t, w.policy.Resolve.Set(strings.Join(server.Resolve(simulator.Hosts()...), ",")))
	return w
}

// operator is a running manager.
type operator struct {
	stop context.CancelFunc
	done chan error
}

// start sets the operator to work on the world's namespace, and stops it when
// the test ends.
func (w *world) start() *operator {
	w.t.Helper()
	calls, err := egress.New(w.policy)
	must(w.t, err)
	mgr, err := ctrl.NewManager(apiServer, ctrl.Options{
		Scheme:     w.Scheme(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Cache:      controller.CacheOptions([]string{w.namespace}, labels.Everything()),
		Client:     controller.ClientOptions(),
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	must(w.t, err)
	w.metrics = prometheus.NewRegistry()
	must(w.t, controller.SetupWithManager(w.t.Context(), mgr, controller.Options{
		BuiltInProviders:  []string{"*"},
		Egress:            calls,
		Clock:             clock.RealClock{},
		Holder:            "test/" + uuid.NewString(),
		Concurrency:       8,
		Registry:          w.metrics,
		CredentialMetrics: true,
	}))
	ctx, cancel := context.WithCancel(context.Background())
	o := &operator{stop: cancel, done: make(chan error, 1)}
	go func() { o.done <- mgr.Start(ctx) }()
	w.t.Cleanup(o.shutDown)
	return o
}

// shutDown stops the operator and waits until it has ended.
func (o *operator) shutDown() {
	o.stop()
	if o.done != nil {
		<-o.done
		o.done = nil
	}
}

// secret creates or replaces a Secret.
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

// await waits until a credential is as it should be, and returns it.
func (w *world) await(name, what string, is func(*v1alpha1.TokenCredential) bool) *v1alpha1.TokenCredential {
	w.t.Helper()
	credential := &v1alpha1.TokenCredential{}
	err := wait.PollUntilContextTimeout(w.t.Context(), 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		return w.Get(ctx, w.key(name), credential) == nil && is(credential), nil
	})
	if err != nil {
		w.t.Fatalf("%s never came to be: %s\n%s", name, what, describe(credential))
	}
	return credential
}

// awaitReason waits until a condition of a credential has a reason.
func (w *world) awaitReason(name, condition, reason string) *v1alpha1.TokenCredential {
	w.t.Helper()
	return w.await(name, condition+" has the reason "+reason, func(c *v1alpha1.TokenCredential) bool {
		found := meta.FindStatusCondition(c.Status.Conditions, condition)
		return found != nil && found.Reason == reason && found.ObservedGeneration == c.Generation
	})
}

// awaitRefreshes waits until a credential has got at least n tokens.
func (w *world) awaitRefreshes(name string, n int64) *v1alpha1.TokenCredential {
	w.t.Helper()
	return w.await(name, fmt.Sprintf("%d refreshes", n), func(c *v1alpha1.TokenCredential) bool { return c.Status.RefreshCount >= n })
}

// read returns a Secret's data; nil where there is none.
func (w *world) read(name string) map[string][]byte {
	w.t.Helper()
	secret := &corev1.Secret{}
	err := w.Get(w.t.Context(), w.key(name), secret)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return secret.Data
}

// events are the reasons of the events about a credential.
func (w *world) events(name string) []string {
	w.t.Helper()
	var list eventsv1.EventList
	must(w.t, w.List(w.t.Context(), &list, client.InNamespace(w.namespace)))
	var reasons []string
	for i := range list.Items {
		if list.Items[i].Regarding.Name == name {
			reasons = append(reasons, list.Items[i].Reason)
		}
	}
	return reasons
}

func (w *world) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: w.namespace, Name: name}
}

func describe(credential *v1alpha1.TokenCredential) string {
	var lines []string
	for _, c := range credential.Status.Conditions {
		lines = append(lines, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	lines = append(lines, fmt.Sprintf("refreshes %d, failures %d, next %v", credential.Status.RefreshCount, credential.Status.FailedAttempts, credential.Status.NextRefreshTime))
	return strings.Join(lines, "\n")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
