// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
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
}

func builtIns() []builtIn {
	oauth := map[string]string{"tokenURL": simulator.DemoOAuthTokenURL}
	site := map[string]string{"site": simulator.DemoShopHost}
	return []builtIn{
		{
			provider: "mcs", vendor: simulator.MCS,
			app:  map[string]string{"app_key": simulator.DemoMCSAppKey, "app_secret": simulator.DemoMCSAppSecret},
			seed: simulator.DemoMCSUserToken,
		},
		{
			provider: "xiaomi", vendor: simulator.Xiaomi,
			parameters: map[string]string{"redirectURI": simulator.DemoXiaomiRedirectURI},
			app:        map[string]string{"app_key": simulator.DemoXiaomiClientID, "app_secret": simulator.DemoXiaomiClientSecret},
			seed:       simulator.DemoXiaomiRefreshToken,
		},
		{
			provider: "oracle-commerce-store", vendor: simulator.OracleStore, parameters: site,
			login: map[string]string{"username": simulator.DemoOracleStoreUsername, "password": simulator.DemoOracleStorePassword},
		},
		{
			provider: "oracle-commerce-admin", vendor: simulator.OracleAdmin, parameters: site,
			login: map[string]string{"applicationKey": simulator.DemoOracleApplicationKey},
		},
		{
			provider: "oauth2", vendor: simulator.OAuth, parameters: oauth,
			app:  map[string]string{"app_key": simulator.DemoOAuthClientID, "app_secret": simulator.DemoOAuthClientSecret},
			seed: simulator.DemoOAuthRefreshToken,
		},
		{
			provider: "oauth2-client-credentials", vendor: simulator.OAuth, parameters: oauth,
			app: map[string]string{"app_key": simulator.DemoOAuthServiceID, "app_secret": simulator.DemoOAuthServiceSecret},
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
		Target:      v1alpha1.Target{Name: v1alpha1.SecretName(b.provider + "-token")},
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

func TestEveryBuiltInProviderKeepsItsSecretFresh(t *testing.T) {
	t.Parallel()
	for _, b := range builtIns() {
		t.Run(b.provider, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4*simulator.Second)
			w.start()
			b.create(w, func(spec *v1alpha1.TokenCredentialSpec) {
				if b.provider == "mcs" { // states no lifetime, so its hour is cut short
					spec.Renewal.Before = &v1alpha1.Duration{}
					spec.Renewal.Before.Duration.Duration = time.Hour
				}
			})
			refreshes := int64(3)
			if b.provider == "mcs" {
				refreshes = 1
			}
			c := w.awaitRefreshes(b.provider, refreshes)
			t.Log(describe(c))
			token := string(w.read(b.provider + "-token")["access_token"])
			if !w.simulator.AccessTokenValid(token) {
				t.Errorf("the target's token is not valid")
			}
		})
	}
}
