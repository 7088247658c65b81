// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/controller/access"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// operator runs the operator as a user of the API server, beside a provider of its own,
// until the test ends. It works on the credentials that are labelled for it: other
// tests change theirs.
func operator(t *testing.T, user, label string, namespaces ...string) {
	t.Helper()
	providers := simulator.New(simulator.DemoOptions(simulator.Hour))
	known := simulator.Demo()
	known.Grants = append(known.Grants, simulator.Grant{ID: label, Vendor: simulator.OAuth, App: simulator.DemoOAuthClientID,
		RefreshToken: seedOf(label), Scope: simulator.DemoOAuthScope})
	_, err := providers.Add(known)
	must(t, err)
	server, err := providers.Start("")
	must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(trusted, server.CAPEM(), 0o600))
	var way egress.Policy
	must(t, way.CAFiles.Set(trusted))
	must(t, way.AllowCIDRs.Set("127.0.0.0/8"))
	must(t, way.Resolve.Set(strings.Join(server.Resolve(simulator.Hosts()...), ",")))
	calls, err := egress.New(way)
	must(t, err)

	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, v1alpha1.AddToScheme(scheme))
	mgr, err := ctrl.NewManager(as(user, "system:serviceaccounts", "system:serviceaccounts:tokenkeeper-system"), ctrl.Options{
		Scheme:     scheme,
		Logger:     logr.Discard(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Cache:      access.CacheOptions(namespaces, labels.SelectorFromSet(labels.Set{"for": label})),
		Client:     access.ClientOptions(),
		Controller: crconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	must(t, err)
	must(t, controller.SetupWithManager(t.Context(), mgr, controller.Options{
		BuiltInProviders: []string{"*"},
		Egress:           calls,
		Clock:            clock.RealClock{},
		Holder:           label,
		InFlight:         &sync.WaitGroup{},
		Namespaces:       namespaces,
		OwnNamespace:     "tokenkeeper-system",
		Concurrency:      4,
		Registry:         prometheus.NewRegistry(),
	}))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the operator ended with an error: %v", err)
		}
	})
}

// seedOf is a refresh token that no other test has: of two credentials on one the
// younger would not work.
func seedOf(label string) string { return "seed-of-" + label }

// demoSecrets are what the simulator takes, in the Secrets that shop names.
func demoSecrets(t *testing.T, admin client.Client, namespace string) {
	t.Helper()
	for _, text := range []string{
		fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: shop-app}, stringData: {app_key: %q, app_secret: %q}}`,
			simulator.DemoOAuthClientID, simulator.DemoOAuthClientSecret),
		fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: shop-refresh}, stringData: {refresh_token: %q}}`, seedOf(namespace)),
		`{apiVersion: v1, kind: Secret, metadata: {name: shop-token}, stringData: {kept: "yes"}}`,
	} {
		must(t, admin.Create(t.Context(), edited(parse(text), namespace, nil)))
	}
}

// TestTheOperatorPassesThePolicy has a tenant with rights to the named Secrets alone
// make, refresh and delete a credential whose operator reads and writes all that it can.
func TestTheOperatorPassesThePolicy(t *testing.T) {
	t.Parallel()
	admin := install(t)
	rights := append(without(named, right{"create", "shop-token"}), right{"update", "shop-refresh"}, right{"update", "shop-token"})
	for _, each := range []struct {
		name, user string
		namespaced bool
	}{
		{"in all namespaces, by the role that is installed", operatorAccount, false},
		{"in some namespaces, by the roles of docs/operations.md", "system:serviceaccount:tokenkeeper-system:narrow", true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			space := namespace(t, admin)
			var namespaces []string
			if each.namespaced {
				namespaces = []string{space}
				bindNarrowly(t, admin, space)
			}
			awaitRight(t, admin, each.user, authorizationv1.ResourceAttributes{Namespace: space, Resource: "secrets", Verb: "list"})
			awaitRight(t, admin, each.user, authorizationv1.ResourceAttributes{Name: "kube-system", Resource: "namespaces", Verb: "get"})
			demoSecrets(t, admin, space)
			user := tenant(t, admin, space, rights)
			operator(t, each.user, space, namespaces...)
			must(t, user.Create(t.Context(), edited(parse(shop), space, edit{
				"metadata.labels":                      map[string]any{"for": space},
				"spec.parameters.tokenURL":             simulator.DemoOAuthTokenURL,
				"spec.refreshTokenSecretRef.writeBack": true,
				"spec.target.creationPolicy":           "Merge",
			})))
			awaitRefreshes(t, admin, space, 1)
			must(t, user.Patch(t.Context(), read(t, user, space),
				client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"tokenkeeper.io/refreshAt":"now"}}}`))))
			awaitRefreshes(t, admin, space, 2)
			// What nobody may do by hand, nobody may in this mode either.
			check(t, user.Create(t.Context(), edited(parse(shop), space, edit{"metadata.name": "other"})),
				[]string{`may not get the Secret "other-token-state"`}, "the policy holds in every namespace")
		})
	}
}

// bindNarrowly gives the service account "narrow" what docs/operations.md says for an
// operator that watches some namespaces alone.
func bindNarrowly(t *testing.T, admin client.Client, namespace string) {
	t.Helper()
	found := documented(t, "**Some namespaces only.**") + keepsDigestKey
	objects, err := decode([]byte(strings.NewReplacer("team-a", namespace, "name: tokenkeeper-controller-manager", "name: narrow").Replace(found)))
	must(t, err)
	for _, object := range objects {
		must(t, apply(t.Context(), admin, object))
	}
}

// keepsDigestKey is what the install gives the operator in its own namespace, whichever
// namespaces it watches.
const keepsDigestKey = `---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: narrow-digest-key, namespace: tokenkeeper-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: tokenkeeper-digest-key-role}
subjects:
- {kind: ServiceAccount, name: narrow, namespace: tokenkeeper-system}
`

// documented is the first YAML that docs/operations.md has after a text.
func documented(t *testing.T, after string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	must(t, err)
	_, found, _ := strings.Cut(string(page), after)
	_, found, _ = strings.Cut(found, "```yaml\n")
	found, _, closed := strings.Cut(found, "```\n")
	if !closed {
		t.Fatalf("docs/operations.md has no YAML after %q", after)
	}
	return found
}

// awaitRefreshes waits until the credential is Ready and has been refreshed so often.
func awaitRefreshes(t *testing.T, admin client.Client, namespace string, times int64) {
	t.Helper()
	known := &v1alpha1.TokenCredential{}
	err := wait.PollUntilContextTimeout(t.Context(), 25*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		err := admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "shop"}, known)
		ready := meta.IsStatusConditionPresentAndEqual(known.Status.Conditions, v1alpha1.ReadyCondition, metav1.ConditionTrue)
		return ready && known.Status.RefreshCount == times, err
	})
	if err != nil {
		t.Fatalf("%d refreshes never came: %v\n%+v", times, err, known.Status.Conditions)
	}
}
