// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ory/fosite"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// refreshOnce sends one refresh by oauth2 as the operator would, and nothing around it.
func refreshOnce(t *testing.T, a app, tokenURL, refreshToken string) provider.Outcome {
	t.Helper()
	specs, err := builtin.Specs()
	must(t, err)
	return refreshBy(t, specs["oauth2"], a, a.parametersFor(tokenURL), refreshToken)
}

// refreshBy sends one refresh by a provider's description, and what it asks to send
// again.
func refreshBy(t *testing.T, spec v1alpha1.ClusterTokenProviderSpec, a app, parameters map[string]string, refreshToken string) provider.Outcome {
	t.Helper()
	described, err := compile.Provider("tested", spec)
	must(t, err)
	parameters, err = described.Parameters(parameters)
	must(t, err)
	exchange := described.Refresh.Begin(provider.Inputs{
		AppKey: secret.New(a.id), AppSecret: secret.New(a.secret), RefreshToken: secret.New(refreshToken), Parameters: parameters,
	}, time.Now(), uuid.NewString())
	outcome := send(t, exchange)
	if outcome.SendAgain {
		outcome = send(t, exchange.Again(outcome.Outputs, uuid.NewString()))
	}
	return outcome
}

// send sends the request of an exchange and reads the reply.
func send(t *testing.T, exchange *provider.Exchange) provider.Outcome {
	t.Helper()
	request, err := exchange.Request(t.Context())
	must(t, err)
	calls, err := egress.New(policy(t))
	must(t, err)
	reply, err := calls.Do(request, true)
	must(t, err)
	outcome := exchange.Read(provider.Reply(*reply))
	bystander.See("the message of "+t.Name(), outcome.Message)
	return outcome
}

func TestRefusalsAsFositeWordsThem(t *testing.T) {
	t.Parallel()
	const forever = time.Hour
	for name, each := range map[string]struct {
		app   app
		wrong func(*server, *app) // what is wrong on either side
		seed  func(*server, app) string
		want  string
		says  string
	}{
		"a wrong secret": {
			app: withBasic(), wrong: func(_ *server, a *app) { a.secret = "another secret" },
			want: v1alpha1.AppRejectedReason, says: "Client authentication failed",
		},
		"an app that nobody knows": {
			app: withPost(), wrong: func(_ *server, a *app) { a.id = "nobody" },
			want: v1alpha1.AppRejectedReason, says: "Client authentication failed",
		},
		"the wrong way to authenticate": {
			app: withPost(), wrong: func(_ *server, a *app) { a.authentication = "basic" },
			want: v1alpha1.AppRejectedReason, says: "to accept 'client_secret_basic'",
		},
		"an assertion of another key": {
			app: withKey(t, "ES256", "", ecKey(t)), wrong: func(s *server, a *app) { a.secret = withKey(s.t, "ES256", "", ecKey(s.t)).secret },
			want: v1alpha1.AppRejectedReason, says: "Unable to verify the integrity",
		},
		"an assertion with another algorithm than is registered": {
			app: withKey(t, "RS256", "", rsaKey(t)), wrong: func(_ *server, a *app) { a.parameters["assertionAlgorithm"] = "RS384" },
			want: v1alpha1.AppRejectedReason, says: "RS384",
		},
		"an assertion for another audience": {
			app: withKey(t, "RS256", "", rsaKey(t)), wrong: func(_ *server, a *app) { a.parameters["assertionAudience"] = "https://id.example" },
			want: v1alpha1.AppRejectedReason, says: "must match the authorization server's token endpoint",
		},
		"an app that may not refresh": {
			app: withBasic(), wrong: func(s *server, a *app) { s.registered(*a).GrantTypes = []string{"authorization_code"} },
			want: v1alpha1.AppRejectedReason, says: "not allowed to use authorization grant",
		},
		"a refresh token that nobody issued": {
			app: withBasic(), seed: func(*server, app) string { return "ory_rt_nobody.issued" },
			want: v1alpha1.ReauthorizationRequiredReason, says: "malformed or not valid",
		},
		"a refresh token that has expired": {
			app: withBasic(), seed: func(s *server, a app) string { return s.consent(a, -time.Minute) },
			want: v1alpha1.ReauthorizationRequiredReason, says: "expired",
		},
		"a refresh token of another app": {
			app: withBasic(), seed: func(s *server, _ app) string {
				other := app{id: "another app", authentication: "none"}
				s.register(other)
				return s.consent(other, forever)
			},
			want: v1alpha1.ReauthorizationRequiredReason, says: "the ID during the initial token issuance",
		},
		"a scope that the app has lost": {
			app: withBasic(), wrong: func(s *server, a *app) { s.registered(*a).Scopes = []string{"offline"} },
			want: v1alpha1.RequestRejectedReason, says: "not allowed to request scope 'photos'",
		},
		"two refreshes at once, of which the server rolls one back": {
			app: withBasic(), wrong: func(s *server, _ *app) { s.store.refusesRotation(fosite.ErrSerializationFailure) },
			want: v1alpha1.RequestRejectedReason, says: "using the same token. Please retry the request",
		},
		"a database that fails": {
			app: withBasic(), wrong: func(s *server, _ *app) { s.store.refusesRotation(errors.New("no disk")) },
			want: v1alpha1.OutcomeUnknownReason, says: "500",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, each.app)
			if each.seed == nil {
				each.seed = func(s *server, a app) string { return s.consent(a, forever) }
			}
			token := each.seed(s, each.app)
			if each.wrong != nil {
				each.wrong(s, &each.app)
			}
			outcome := refreshOnce(t, each.app, s.tokenURL(), token)
			if outcome.Reason != each.want {
				t.Errorf("the reason is %s, want %s: %s", outcome.Reason, each.want, outcome.Message)
			}
			if !strings.Contains(outcome.Message, each.says) {
				t.Errorf("the message does not say %q: %s", each.says, outcome.Message)
			}
		})
	}
}
