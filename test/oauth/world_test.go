// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/controller/access"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// shop is the one credential of a world, and its target.
const shop = "shop"

// world is a namespace of its own with one credential, and the operator at work on it.
type world struct {
	client.Client
	t         *testing.T
	namespace string
	clock     clock
	asked     int
}

// clock is the direct one, some time ahead. Safe for concurrent use.
type clock struct{ ahead atomic.Int64 }

// Now is the shifted time.
func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Since is the shifted time that has passed since a moment.
func (c *clock) Since(moment time.Time) time.Duration { return c.Now().Sub(moment) }

// newWorld sets the operator to work on a credential of an app for the server with this
// token endpoint, beginning with a refresh token.
func newWorld(t *testing.T, a app, tokenURL, seed string, change ...func(*v1alpha1.TokenCredentialSpec)) *world {
	t.Helper()
	w := &world{Client: apiserver.NewClient(t), t: t}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	must(t, w.Create(t.Context(), namespace))
	w.namespace = namespace.Name
	w.start()
	w.secret("app", a.data())
	w.authorize(seed)
	credential := &v1alpha1.TokenCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: shop},
		Spec: v1alpha1.TokenCredentialSpec{
			ProviderRef:           v1alpha1.ProviderReference{Name: "oauth2"},
			Parameters:            a.parametersFor(tokenURL),
			AppSecretRef:          &v1alpha1.AppSecretReference{Name: "app"},
			RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: "seed"},
		},
	}
	if a.certificate != "" {
		w.secret("certificate", map[string]string{corev1.TLSCertKey: a.certificate, corev1.TLSPrivateKeyKey: a.key})
		credential.Spec.ClientCertificateSecretRef = &v1alpha1.ClientCertificateSecretReference{Name: "certificate"}
	}
	for _, each := range change {
		each(&credential.Spec)
	}
	must(t, w.Create(t.Context(), credential))
	return w
}

// policy lets this machine be called, and servers that have httptest's certificate.
func policy(t *testing.T) egress.Policy {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	var allowed egress.Policy
	must(t, allowed.CAFiles.Set(file))
	must(t, allowed.AllowCIDRs.Set("127.0.0.0/8"))
	return allowed
}

// start sets the operator to work until the test ends, and shows the bystander what it
// logs.
func (w *world) start() {
	w.t.Helper()
	calls, err := egress.New(policy(w.t))
	must(w.t, err)
	log := func(entry string) { bystander.See("the log of "+w.t.Name(), entry) }
	mgr, err := ctrl.NewManager(apiserver.Config, ctrl.Options{
		Scheme:     w.Scheme(),
		Logger:     funcr.NewJSON(log, funcr.Options{Verbosity: 1}),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Cache:      access.CacheOptions([]string{w.namespace}, labels.Everything()),
		Client:     access.ClientOptions(),
		Controller: crconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	must(w.t, err)
	inFlight := &sync.WaitGroup{}
	must(w.t, controller.SetupWithManager(w.t.Context(), mgr, controller.Options{
		BuiltInProviders: []string{"*"},
		Egress:           calls,
		Clock:            &w.clock,
		Holder:           "test/" + uuid.NewString(),
		InFlight:         inFlight,
		OwnNamespace:     corev1.NamespaceDefault,
		Namespaces:       []string{w.namespace},
		Concurrency:      1,
		Registry:         prometheus.NewRegistry(),
	}))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Errorf("the operator ended with an error: %v", err)
		}
		inFlight.Wait()
	})
}

// secret creates or replaces the data of a Secret.
func (w *world) secret(name string, data map[string]string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	_, err := ctrl.CreateOrUpdate(w.t.Context(), w, secret, func() error {
		secret.Data, secret.StringData = nil, data
		if data[corev1.TLSPrivateKeyKey] != "" {
			secret.Type = corev1.SecretTypeTLS
		}
		return nil
	})
	must(w.t, err)
}

// authorize gives the credential a refresh token that a person brought.
func (w *world) authorize(seed string) {
	w.t.Helper()
	w.secret("seed", map[string]string{"refresh_token": seed})
}

// read returns a value of a Secret; "" where there is none.
func (w *world) read(name, key string) string {
	w.t.Helper()
	secret := &corev1.Secret{}
	must(w.t, client.IgnoreNotFound(w.Get(w.t.Context(), w.key(name), secret)))
	return string(secret.Data[key])
}

// live is the refresh token that the operator would send next.
func (w *world) live() string {
	w.t.Helper()
	return w.read(shop+v1alpha1.StateSecretSuffix, "refresh_token")
}

// token is the access token in the target.
func (w *world) token() string {
	w.t.Helper()
	return w.read(shop, "access_token")
}

// edit changes the credential as a user would.
func (w *world) edit(change func(*v1alpha1.TokenCredential)) {
	w.t.Helper()
	credential := w.look()
	before := credential.DeepCopy()
	change(credential)
	must(w.t, w.Patch(w.t.Context(), credential, client.MergeFrom(before)))
}

// askForRefresh asks for a refresh. From the fourth on, each has ten seconds of its own,
// so that no test waits for the pace of requests.
func (w *world) askForRefresh() {
	w.t.Helper()
	if w.asked++; w.asked > 3 {
		w.clock.ahead.Add(int64(10 * time.Second))
	}
	w.edit(func(c *v1alpha1.TokenCredential) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.RefreshAtAnnotation, uuid.NewString())
	})
}

// awaitLook waits until the operator has looked at the credential after everything that
// was done to it before: it moves the renewal a little, which by itself calls nobody.
func (w *world) awaitLook() {
	w.t.Helper()
	w.edit(func(c *v1alpha1.TokenCredential) { c.Spec.Renewal.Percentage-- })
	w.await("another look", func(c *v1alpha1.TokenCredential) bool { return c.Status.ObservedGeneration == c.Generation })
}

// look returns the credential as it stands.
func (w *world) look() *v1alpha1.TokenCredential {
	w.t.Helper()
	credential := &v1alpha1.TokenCredential{}
	must(w.t, w.Get(w.t.Context(), w.key(shop), credential))
	return credential
}

// await waits until the credential is as it should be, and returns it.
func (w *world) await(what string, is func(*v1alpha1.TokenCredential) bool) *v1alpha1.TokenCredential {
	w.t.Helper()
	var credential *v1alpha1.TokenCredential
	err := wait.PollUntilContextTimeout(w.t.Context(), 10*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		credential = w.look()
		return is(credential), nil
	})
	if err != nil {
		w.t.Fatalf("it never came to be: %s\n%s", what, describe(credential))
	}
	return credential
}

// awaitFresh waits until n tokens were obtained and all is well.
func (w *world) awaitFresh(n int64) {
	w.t.Helper()
	w.await(fmt.Sprintf("fresh after %d refreshes", n), func(c *v1alpha1.TokenCredential) bool {
		return c.Status.RefreshCount == n && len(c.Status.Conditions) == 2 &&
			meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ReadyCondition) &&
			meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.RefreshedCondition)
	})
}

// awaitRefused waits until the last attempt ended with a reason, and checks whether a
// person must act and what is said.
func (w *world) awaitRefused(reason string, stalled bool, says string) {
	w.t.Helper()
	var refreshed *metav1.Condition
	c := w.await("Refreshed=False with the reason "+reason, func(c *v1alpha1.TokenCredential) bool {
		refreshed = meta.FindStatusCondition(c.Status.Conditions, v1alpha1.RefreshedCondition)
		return refreshed != nil && refreshed.Reason == reason
	})
	if meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.StalledCondition) != stalled {
		w.t.Errorf("Stalled is not %t:\n%s", stalled, describe(c))
	}
	if !strings.Contains(refreshed.Message, says) {
		w.t.Errorf("the message does not say %q: %s", says, refreshed.Message)
	}
}

func (w *world) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: w.namespace, Name: name}
}

// describe shows what matters of a credential's status.
func describe(credential *v1alpha1.TokenCredential) string {
	var text strings.Builder
	for _, c := range credential.Status.Conditions {
		fmt.Fprintf(&text, "%s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	fmt.Fprintf(&text, "refreshes %d, failures %d", credential.Status.RefreshCount, credential.Status.FailedAttempts)
	return text.String()
}
