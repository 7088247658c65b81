// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

func TestMissingTellsOfAllThatIsMissingForACall(t *testing.T) {
	t.Parallel()
	app := problem.New(v1alpha1.SecretNotFoundReason, "no app")
	seed := problem.New(v1alpha1.SecretKeyMissingReason, "no seed")
	login := problem.New(v1alpha1.SecretNotFoundReason, "no login")
	cases := map[string]struct {
		reason string
		in     inputs.Inputs
		state  rotation.State
		want   string
	}{
		"nothing":                             {"all is there", inputs.Inputs{Seed: secret.New("seed")}, rotation.State{}, ""},
		"the app":                             {"there is a seed", inputs.Inputs{AppMissing: app, Seed: secret.New("seed")}, rotation.State{}, "SecretNotFound: no app"},
		"the app and the seed":                {"both are needed, and told at once", inputs.Inputs{AppMissing: app, SeedMissing: seed}, rotation.State{}, "SecretNotFound: no app; no seed"},
		"the app, the seed and the login":     {"one of the last two is needed", inputs.Inputs{AppMissing: app, SeedMissing: seed, LoginMissing: login}, rotation.State{}, "SecretNotFound: no app; no seed; no login"},
		"the app, and a seed that was in use": {"the state goes on without it", inputs.Inputs{AppMissing: app, SeedMissing: seed}, rotation.State{Lineage: rotation.Lineage{RefreshToken: secret.New("live")}}, "SecretNotFound: no app"},
		"the seed alone":                      {"only a call needs it, and says so", inputs.Inputs{SeedMissing: seed}, rotation.State{}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.in.Provider = inputs.Provider{Provider: &provider.Provider{}}
			credential := &v1alpha1.TokenCredential{}
			if c.in.LoginMissing != nil {
				credential.Spec.LoginSecretRef = &v1alpha1.LoginSecretReference{Name: "login"}
			}
			got := ""
			if missing := Missing(Case{Credential: credential, Inputs: &c.in, State: c.state}, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)); missing != nil {
				got = missing.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
