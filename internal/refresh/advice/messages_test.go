// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
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

func TestADuplicateSaysWhereTheTokenWent(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		twin   twins.Twin
		want   string
	}{
		"one that lives on it":             {"the token is good for one of them", twins.Twin{}, `the TokenCredential "other" works on the same refresh token, which is good for one of them: delete this one, or`},
		"one that has spent it":            {"it may be on another grant since", twins.Twin{Successor: rotation.SuccessorLive}, `the TokenCredential "other" has spent the same refresh token,`},
		"one that is gone":                 {"a person takes over what came of it", twins.Twin{Orphaned: true, Successor: rotation.SuccessorLive}, `its successor is in the state Secret "other-token-state": put the refresh_token from there`},
		"one that was given another seed":  {"which nothing has come of yet", twins.Twin{Orphaned: true, Successor: rotation.SuccessorPrevious}, `its successor is in the state Secret "other-token-state": put the previous_refresh_token from there`},
		"one that may have another grant":  {"which may be of another account", twins.Twin{Orphaned: true, Successor: rotation.SuccessorUnsure}, `"other-token-state" may hold a later grant since: where it holds the same, put the refresh_token from there`},
		"one that has lost what came":      {"there is nothing to take over", twins.Twin{Orphaned: true, Successor: rotation.SuccessorLost}, `and its successor is lost: authorize again`},
		"one that was deleted in a call":   {"nobody knows", twins.Twin{Orphaned: true}, `the refresh token may have been spent by the TokenCredential "other", which is gone: authorize again`},
		"one of another namespace":         {"its name is nobody's business here", twins.Twin{Namespace: "theirs", Orphaned: true, Successor: rotation.SuccessorLive}, `spent by a TokenCredential in another namespace, which is gone; its successor is in its state Secret:`},
		"another namespace's that lives":   {"its name is nobody's business here", twins.Twin{Namespace: "theirs"}, `a TokenCredential in another namespace works on`},
		"another namespace's that may not": {"its name is nobody's business here", twins.Twin{Namespace: "theirs", Orphaned: true, Successor: rotation.SuccessorUnsure}, `which is gone; its state Secret may hold a later grant since`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.twin.Credential, c.twin.StateSecret = "other", "other-token-state"
			got := Duplicate(&v1alpha1.TokenCredential{}, &c.twin)
			isTheirs := c.twin.Namespace != "" && strings.Contains(got.Message, "other-token-state")
			if !strings.Contains(got.Message, c.want) || isTheirs {
				t.Errorf("%s: got %q, want %q in it, and no name of another namespace", c.reason, got.Message, c.want)
			}
		})
	}
}

func TestWhatIsNotAcceptedIsNamed(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		login  bool
		seeded bool
		want   string
	}{
		"a refresh token":                    {"another one is needed", false, true, `the provider no longer accepts the refresh token: authorize again and put the new refresh token into the Secret of spec.refreshTokenSecretRef ("seed", key "refresh_token"), such as by kubectl tokencredential login shop -n team --reauthorize (the user is locked)`},
		"a login":                            {"there is no refresh token to speak of", true, false, `the provider does not accept the login: correct the login in the Secret of spec.loginSecretRef ("login"), or have the access granted again at the provider (the user is locked)`},
		"a login in a refresh token's place": {"either of them mends it", true, true, `the provider does not accept the login: correct the login in the Secret of spec.loginSecretRef ("login"); or authorize again and put the new refresh token into the Secret of spec.refreshTokenSecretRef ("seed", key "refresh_token"), such as by kubectl tokencredential login shop -n team --reauthorize (the user is locked)`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
			credential.Spec.LoginSecretRef = &v1alpha1.LoginSecretReference{Name: "login"}
			if c.seeded {
				credential.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: "seed"}
			}
			in := &inputs.Inputs{Provider: inputs.Provider{Provider: &provider.Provider{LoginKeys: []string{"user"}}}}
			got := Of(Case{Credential: credential, Inputs: in, Login: c.login}, v1alpha1.ReauthorizationRequiredReason, "the user is locked")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
