// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Providers whose calls go where their description says: a fixed host, one of the user's,
// one that the last reply named, and one that a document names.
const (
	fixed = `
inputs: {app: None, refreshToken: Required}
refresh:
  request: {method: POST, url: "https://a.example/token", form: {t: "${refreshToken}"}}
  response: {accessToken: body.t}
revoke: {request: {method: POST, url: "https://r.example/revoke", form: {t: "${refreshToken}"}}}
`
	ofTheUser = `
inputs: {app: None, login: [password], parameters: [{name: host, default: a.example, pattern: "^[a-z.]+$"}]}
login:
  request: {method: POST, url: "https://${parameters.host}:443/login", form: {p: "${login.password}"}}
  response: {accessToken: body.t}
`
	withLogin = `
inputs: {app: None, refreshToken: Optional, login: [password]}
refresh:
  request: {method: POST, url: "https://a.example/token", form: {t: "${refreshToken}"}}
  response: {accessToken: body.t}
login:
  request: {method: POST, url: "https://l.example/login", form: {p: "${login.password}"}}
  response: {accessToken: body.t}
`
	ofTheReply = `
inputs: {app: None, refreshToken: Required}
refresh:
  request: {method: POST, url: "https://${outputs.?host.orValue('a.example')}/token", form: {t: "${refreshToken}"}}
  response: {accessToken: body.t, outputs: {host: "body.?host"}}
`
	around = fixed + `
prepare:
- {request: {method: POST, url: "https://p.example/app"}, response: {outputs: {app: body.app}}}
- {request: {method: POST, url: "https://a.example/nonce"}, response: {outputs: {nonce: body.nonce}}}
finish:
- {request: {method: GET, url: "https://f.example/me", headers: {Authorization: "Bearer ${accessToken}"}}, response: {outputs: {me: body.me}}}
`
	discovered = `
inputs: {app: None, refreshToken: Required}
prepare:
- {request: {method: GET, url: "https://p.example/openid"}, response: {outputs: {token_host: body.token_host, me_host: body.me_host}}}
refresh:
  request: {method: POST, url: "https://${outputs.token_host}/token", form: {t: "${refreshToken}"}}
  response: {accessToken: body.t}
finish:
- {request: {method: GET, url: "https://${outputs.me_host}/me", headers: {Authorization: "Bearer ${accessToken}"}}, response: {outputs: {me: body.me}}}
`
)

// with is what a credential is renewed with.
func with(t *testing.T, described string, parameters map[string]string) *inputs.Inputs {
	t.Helper()
	var spec v1alpha1.ClusterTokenProviderSpec
	if err := yaml.UnmarshalStrict([]byte(described), &spec); err != nil {
		t.Fatal(err)
	}
	compiled, err := compile.Provider("shop", spec)
	if err != nil {
		t.Fatal(err)
	}
	if parameters, err = compiled.Parameters(parameters); err != nil {
		t.Fatal(err)
	}
	return &inputs.Inputs{
		Provider: inputs.Provider{Provider: compiled, Key: "shop"}, Parameters: parameters, Source: "d1",
		Login: map[string]secret.Text{"password": secret.New("p")},
	}
}

var granted = rotation.State{Lineage: rotation.Lineage{RefreshToken: secret.New("r")}, Token: token.Token{AccessToken: secret.New("t")}}

func TestWhereCallsGo(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		reason     string
		provider   string
		parameters map[string]string
		want       rotation.Origin
	}{
		"a fixed host":                 {"each call has its own", fixed, nil, rotation.Origin{Refresh: "https://a.example", Revoke: "https://r.example"}},
		"the user's host":              {"the port of the scheme is the same origin", ofTheUser, map[string]string{"host": "b.example"}, rotation.Origin{Login: "https://b.example"}},
		"the last reply's host":        {"whoever edits the provider or its parameters moves it", ofTheReply, nil, rotation.Origin{Refresh: "the provider shop with the parameters of digest d1"}},
		"calls before and after":       {"they see what the grant gave; each origin stands once", around, nil, rotation.Origin{Refresh: "https://a.example and https://p.example and https://f.example", Revoke: "https://r.example"}},
		"a host that a document names": {"it is known only once that is read", discovered, nil, rotation.Origin{Refresh: "the provider shop with the parameters of digest d1 and https://p.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(each.want, OriginOf(with(t, each.provider, each.parameters), granted)); diff != "" {
				t.Errorf("(-want +got):\n%s\nreason: %s", diff, each.reason)
			}
		})
	}
}

func TestWhatADocumentNamesIsToldOnceItIsRead(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		reason   string
		provider string
		prepared map[string]any
		want     string
	}{
		"all hosts":               {"in the order of the calls", discovered, map[string]any{"token_host": "t.example", "me_host": "m.example"}, "https://t.example and https://m.example"},
		"the same host twice":     {"an origin stands once", discovered, map[string]any{"token_host": "t.example", "me_host": "T.example."}, "https://t.example"},
		"one host alone":          {"of the other no request comes", discovered, map[string]any{"token_host": "t.example"}, "https://t.example"},
		"what is no host":         {"no request comes of it", discovered, map[string]any{"token_host": "t example", "me_host": "user@[m.example"}, ""},
		"nothing":                 {"the document was empty", discovered, nil, ""},
		"a provider without any":  {"the last reply's host is the provider's own word", ofTheReply, map[string]any{"host": "t.example"}, ""},
		"calls with fixed hosts":  {"what a call before gives names none", around, map[string]any{"app": "t.example"}, ""},
		"a provider without them": {"nothing is discovered", fixed, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Discovered(with(t, each.provider, nil), each.prepared); got != each.want {
				t.Errorf("%q, want %q\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}

// TestARequestGoesWhereItWasJudgedToGo takes the last look at an address.
func TestARequestGoesWhereItWasJudgedToGo(t *testing.T) {
	t.Parallel()
	in := with(t, around, nil)
	origin := OriginOf(in, granted)
	for name, each := range map[string]struct {
		reason  string
		step    int // of refresh, prepare, finish, revoke
		address string
		want    bool
	}{
		"the refresh":                       {"as judged", 0, "https://a.example/token", true},
		"the refresh at a call's before it": {"that host is on the way, and is shown the same", 0, "https://p.example/token", true},
		"the refresh elsewhere":             {"it was not judged", 0, "https://thief.example/token", false},
		"the refresh without TLS":           {"it is another origin", 0, "http://a.example/token", false},
		"the refresh at another port":       {"it is another origin", 0, "https://a.example:8443/token", false},
		"a call before":                     {"as judged", 1, "https://p.example/app", true},
		"a call after":                      {"as judged", 2, "https://f.example/me", true},
		"a call after where a grant ends":   {"that host is on no way of it", 2, "https://r.example/me", false},
		"a revocation":                      {"as judged", 3, "https://r.example/revoke", true},
		"a revocation at the refresh":       {"another call goes there", 3, "https://a.example/revoke", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leg := Leg{Inputs: in, Origin: origin, Way: in.Provider.Refresh}
			leg.Step = []*provider.Call{in.Provider.Refresh, in.Provider.Prepare[0], in.Provider.Finish[0], in.Provider.Revoke}[each.step]
			address, err := url.Parse(each.address)
			if err != nil {
				t.Fatal(err)
			}
			if err := leg.MayGo(address); (err == nil) != each.want {
				t.Errorf("it may go: %v, want %t\nreason: %s", err, each.want, each.reason)
			} else if err != nil && !problem.Is(err, v1alpha1.InvalidParametersReason) {
				t.Errorf("it is told as %v, which nobody can act on", err)
			}
		})
	}
}

// TestACallSeesNothingThatIsBoundElsewhere binds the two tokens of a state apart.
func TestACallSeesNothingThatIsBoundElsewhere(t *testing.T) {
	t.Parallel()
	in := with(t, withLogin, nil)
	here := rotation.Origin{Refresh: "https://a.example", Login: "https://l.example", Discovered: "https://d.example"}
	moved := func(change func(*rotation.Origin)) rotation.Origin { o := here; change(&o); return o }
	refreshMoved := moved(func(o *rotation.Origin) { o.Refresh = "https://old.example" })
	loginMoved := moved(func(o *rotation.Origin) { o.Login = "https://old.example" })
	othersNamed := moved(func(o *rotation.Origin) { o.Discovered = "https://old.example" })
	for name, each := range map[string]struct {
		reason                       string
		way                          *provider.Call
		grant, access                rotation.Origin
		wantRefreshToken, wantAccess bool
	}{
		"both are bound to here":                     {"they are for this provider", in.Provider.Refresh, here, here, true, true},
		"both are bound to nothing":                  {"a seed that was never sent", in.Provider.Refresh, rotation.Origin{}, rotation.Origin{}, true, true},
		"the refresh has moved":                      {"the grant is the old host's", in.Provider.Refresh, refreshMoved, refreshMoved, false, false},
		"the refresh has moved, and this is a login": {"a login goes where it went", in.Provider.Login, refreshMoved, refreshMoved, true, true},
		"the login has moved":                        {"the grant goes on where it went", in.Provider.Refresh, loginMoved, loginMoved, true, true},
		"the login has moved, and this is one":       {"what the old host gave is not shown to the new one", in.Provider.Login, loginMoved, loginMoved, false, false},
		"the document names other hosts":             {"whoever holds it names no others", in.Provider.Refresh, othersNamed, othersNamed, false, false},
		"the access token alone is from elsewhere":   {"each is bound by itself", in.Provider.Refresh, here, refreshMoved, true, false},
		"the grant alone is from elsewhere":          {"each is bound by itself", in.Provider.Refresh, refreshMoved, here, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := granted
			state.Origin, state.TokenOrigin = each.grant, each.access
			seen := Leg{Inputs: in, Origin: here, Way: each.way, Step: each.way}.Admitted(state)
			if got := !seen.RefreshToken.IsZero(); got != each.wantRefreshToken {
				t.Errorf("the call sees the refresh token: %t, want %t\nreason: %s", got, each.wantRefreshToken, each.reason)
			}
			if got := !seen.Token.AccessToken.IsZero(); got != each.wantAccess {
				t.Errorf("the call sees the access token: %t, want %t\nreason: %s", got, each.wantAccess, each.reason)
			}
		})
	}
}

func TestAGrantGoesOnByARefreshWhereThereIsOne(t *testing.T) {
	t.Parallel()
	if in := with(t, withLogin, nil); OfGrant(in) != in.Provider.Refresh {
		t.Error("a grant with a refresh token goes on by a login")
	}
	if in := with(t, ofTheUser, nil); OfGrant(in) != in.Provider.Login {
		t.Error("without a refresh it does not go on by a login")
	}
}
