// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// builtIn is a credential of each built-in provider, as a user would write it,
// with the Secrets that it names.
type builtIn struct {
	provider   string
	parameters map[string]string
	app        map[string]string
	seed       string
	login      map[string]string
	vendor     simulator.Vendor
	grant      string   // of the seed, at the simulator
	outputs    []string // that go to the target
	// statesNoLifetime: the provider's replies do not say how long a token lives.
	statesNoLifetime bool
	// oneToken: what the API is called with is what the next refresh is asked with.
	oneToken bool
}

func (b builtIn) target() string { return b.provider + "-token" }

// builtInNamed is one of builtIns.
func builtInNamed(t *testing.T, name string) builtIn {
	t.Helper()
	for _, b := range builtIns() {
		if b.provider == name {
			return b
		}
	}
	t.Fatalf("there is no built-in provider %s", name)
	return builtIn{}
}

func builtIns() []builtIn {
	oauth := map[string]string{"tokenURL": simulator.DemoOAuthTokenURL}
	site := map[string]string{"site": simulator.DemoShopHost}
	return []builtIn{
		{
			provider: "mcs", vendor: simulator.MCS,
			app:  map[string]string{"app_key": simulator.DemoMCSAppKey, "app_secret": simulator.DemoMCSAppSecret},
			seed: simulator.DemoMCSUserToken, grant: simulator.DemoMCSGrant,
			statesNoLifetime: true,
		},
		{
			provider: "xiaomi", vendor: simulator.Xiaomi,
			parameters: map[string]string{"redirectURI": simulator.DemoXiaomiRedirectURI},
			app:        map[string]string{"app_key": simulator.DemoXiaomiClientID, "app_secret": simulator.DemoXiaomiClientSecret},
			seed:       simulator.DemoXiaomiRefreshToken, grant: simulator.DemoXiaomiGrant,
			outputs: []string{"mac_algorithm", "mac_key", "openId", "scope"},
		},
		{
			provider: "oracle-commerce-store", vendor: simulator.OracleStore, parameters: site, oneToken: true,
			login: map[string]string{"username": simulator.DemoOracleStoreUsername, "password": simulator.DemoOracleStorePassword},
		},
		{
			provider: "oracle-commerce-admin", vendor: simulator.OracleAdmin, parameters: site, oneToken: true,
			login: map[string]string{"applicationKey": simulator.DemoOracleApplicationKey},
		},
		{
			provider: "oauth2", vendor: simulator.OAuth, parameters: oauth,
			app:  map[string]string{"app_key": simulator.DemoOAuthClientID, "app_secret": simulator.DemoOAuthClientSecret},
			seed: simulator.DemoOAuthRefreshToken, grant: simulator.DemoOAuthGrant,
			outputs: []string{"scope"},
		},
		{
			provider: "oauth2-client-credentials", vendor: simulator.OAuth, parameters: oauth,
			app:     map[string]string{"app_key": simulator.DemoOAuthServiceID, "app_secret": simulator.DemoOAuthServiceSecret},
			outputs: []string{"scope"},
		},
	}
}

// create writes the Secrets and the credential, which is named after its
// provider.
func (b builtIn) create(w *world, change ...func(*v1alpha1.TokenCredentialSpec)) {
	w.t.Helper()
	spec := v1alpha1.TokenCredentialSpec{
		ProviderRef: v1alpha1.ProviderReference{Name: b.provider},
		Parameters:  b.parameters,
		Target:      v1alpha1.Target{Name: v1alpha1.SecretName(b.target())},
	}
	if b.app != nil {
		w.secret(b.provider+"-app", b.app)
		spec.AppSecretRef = &v1alpha1.AppSecretReference{Name: v1alpha1.SecretName(b.provider + "-app")}
	}
	if b.seed != "" {
		w.secret(b.provider+"-seed", map[string]string{"refresh_token": b.seed})
		spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: v1alpha1.SecretName(b.provider + "-seed")}
	}
	if b.login != nil {
		w.secret(b.provider+"-login", b.login)
		spec.LoginSecretRef = &v1alpha1.LoginSecretReference{Name: v1alpha1.SecretName(b.provider + "-login")}
	}
	for _, each := range change {
		each(&spec)
	}
	w.credential(b.provider, spec)
}

// watchTarget watches a target while a test runs and reports every token in it
// that the provider would not take: at each change the new one, and the one that
// it replaces, which must have served until then. What it returns stops the
// watch, and tells how many tokens it saw.
func (w *world) watchTarget(name string) (stop func() int) {
	w.t.Helper()
	watching, err := client.NewWithWatch(apiserver.Config, client.Options{Scheme: w.Scheme()})
	must(w.t, err)
	watcher, err := watching.Watch(w.t.Context(), &corev1.SecretList{}, client.InNamespace(w.namespace), client.MatchingFields{"metadata.name": name})
	must(w.t, err)
	seen := make(chan int)
	go func() {
		var tokens []string
		for event := range watcher.ResultChan() {
			secret, ok := event.Object.(*corev1.Secret)
			if !ok {
				continue // the watch ends
			}
			if event.Type == watch.Deleted {
				w.t.Errorf("the target %s was deleted", name)
			}
			if token := string(secret.Data["access_token"]); !slices.Contains(tokens, token) {
				tokens = append(tokens, token)
			}
			for i, token := range tokens[max(0, len(tokens)-2):] {
				if !w.simulator.AccessTokenValid(token) {
					w.t.Errorf("the target %s holds a token that has expired (number %d of %d)", name, i, len(tokens))
				}
			}
		}
		seen <- len(tokens)
	}()
	return func() int {
		watcher.Stop()
		return <-seen
	}
}

func TestEveryBuiltInProviderKeepsItsSecretFresh(t *testing.T) {
	t.Parallel()
	const refreshes = 3 // in a row, after the first token
	for _, b := range builtIns() {
		t.Run(b.provider, func(t *testing.T) {
			t.Parallel()
			lifetime := 12 * simulator.Second // a loaded machine has more than two seconds for a renewal
			if b.statesNoLifetime {
				lifetime = simulator.Hour
			}
			w := newWorld(t, lifetime)
			stopWatch := w.watchTarget(b.target())
			operator := w.start()
			b.create(w)
			w.awaitRefreshes(b.provider, 1)
			for i := int64(2); i <= 1+refreshes; i++ {
				if b.statesNoLifetime {
					w.askForRefresh(b.provider, fmt.Sprint("number ", i))
				}
				w.awaitRefreshes(b.provider, i)
			}
			w.awaitFresh(b.provider)
			operator.shutDown()
			if seen := stopWatch(); seen < 1+refreshes {
				t.Errorf("the watch saw %d tokens, want at least %d", seen, 1+refreshes)
			}
			w.checkConversation(b, 1+refreshes)
			w.checkKept(b)
		})
	}
}

// checkConversation checks that the provider took every call as it came.
func (w *world) checkConversation(b builtIn, tokens int64) {
	w.t.Helper()
	endpoints := map[simulator.Endpoint]int64{}
	for _, entry := range w.simulator.Log(0) {
		if entry.Vendor != b.vendor || entry.Status != 200 || entry.Refusal != "" || entry.Faulty {
			w.t.Errorf("%s %s%s was answered %d (%s)", entry.Method, entry.Host, entry.Path, entry.Status, entry.Refusal)
		}
		endpoints[entry.Endpoint]++
	}
	want := map[simulator.Endpoint]int64{simulator.Refresh: tokens}
	switch {
	case b.grant == "" && b.login == nil: // client credentials
		want = map[simulator.Endpoint]int64{simulator.Login: tokens}
	case b.grant == "":
		want = map[simulator.Endpoint]int64{simulator.Login: 1, simulator.Refresh: tokens - 1}
	}
	for endpoint, n := range want {
		if endpoints[endpoint] < n {
			w.t.Errorf("the provider got %d calls to %s, want at least %d", endpoints[endpoint], endpoint, n)
		}
	}
	if len(endpoints) != len(want) {
		w.t.Errorf("the provider got the calls %v, want %v and no others", endpoints, want)
	}
	if totals := w.simulator.Totals(); totals.Reuses+totals.WindowReuses != 0 || totals.UnknownTokens != 0 {
		w.t.Errorf("spent or unknown refresh tokens were sent: %+v", totals)
	}
}

// checkKept checks what the target and the state hold once the operator has
// ended.
func (w *world) checkKept(b builtIn) {
	w.t.Helper()
	data := w.read(b.target())
	keys := append([]string{"access_token", "expires_at", "token_type"}, b.outputs...)
	slices.Sort(keys)
	if diff := cmp.Diff(keys, slices.Sorted(maps.Keys(data))); diff != "" {
		w.t.Errorf("the target's keys (-want +got):\n%s", diff)
	}
	grant, found := w.simulator.GrantOf(string(data["access_token"]))
	if !found || grant.AccessToken != string(data["access_token"]) {
		w.t.Error("the target does not hold the provider's newest access token")
	}
	expires, err := time.Parse(time.RFC3339, string(data["expires_at"]))
	if err != nil || expires.After(grant.AccessTokenExpiresAt) || grant.AccessTokenExpiresAt.Sub(expires) > 5*time.Second {
		w.t.Errorf("the target says that its token expires at %s, and it expires at %s", data["expires_at"], grant.AccessTokenExpiresAt)
	}
	if current := w.state(b.provider, "refresh_token"); current != grant.Current {
		w.t.Error("the state does not hold the provider's current refresh token")
	}
	for _, token := range grant.History {
		for key, value := range data {
			if !b.oneToken && strings.Contains(string(value), token.Value) {
				w.t.Errorf("the target's %s holds a refresh token", key)
			}
		}
	}
}
