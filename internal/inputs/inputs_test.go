// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// shopProvider takes everything that a provider may take.
const shopProvider = `
inputs: {app: Required, refreshToken: Optional, login: [email, password], parameters: [{name: site, default: example}]}
refresh:
  request: {method: POST, url: "https://example/token", form: {key: "${app.key}", secret: "${app.secret}", token: "${refreshToken}", site: "${parameters.site}"}}
  response: {accessToken: body.access_token, refreshToken: body.refresh_token}
login:
  request: {method: POST, url: "https://example/login", form: {email: "${login.email}", password: "${login.password}"}}
  response: {accessToken: body.access_token}
`

// bareProvider takes nothing.
const bareProvider = `
inputs: {app: None, refreshToken: None}
login:
  request: {method: POST, url: "https://example/login"}
  response: {accessToken: body.access_token}
`

func specOf(t testing.TB, text string) v1alpha1.ClusterTokenProviderSpec {
	t.Helper()
	var spec v1alpha1.ClusterTokenProviderSpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

func gathererOf(t testing.TB, c *cluster) *Gatherer {
	t.Helper()
	catalog, err := NewCatalog(c, map[string]v1alpha1.ClusterTokenProviderSpec{"shop": specOf(t, shopProvider), "bare": specOf(t, bareProvider)}, []string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	return &Gatherer{Catalog: catalog, Secrets: c.secrets()}
}

// full is a credential that names a Secret of each kind.
func full() *v1alpha1.TokenCredential {
	credential := &v1alpha1.TokenCredential{}
	credential.Namespace, credential.Name = namespace, "shop"
	credential.Spec = v1alpha1.TokenCredentialSpec{
		ProviderRef:           v1alpha1.ProviderReference{Name: "shop"},
		AppSecretRef:          &v1alpha1.AppSecretReference{Name: "app"},
		RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: "seed"},
		LoginSecretRef:        &v1alpha1.LoginSecretReference{Name: "login"},
	}
	return credential
}

func fullCluster() *cluster {
	c := newCluster()
	c.put("app", "1", map[string]string{"app_key": "key", "app_secret": "secret"})
	c.put("seed", "2", map[string]string{"refresh_token": "token"})
	c.put("login", "3", map[string]string{"email": "a@example", "password": "word"})
	return c
}

// TestGatherReadsTheSecrets changes one thing about a credential of which all is well.
func TestGatherReadsTheSecrets(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "marks around a value in a Secret")
	type read struct{ AppKey, AppSecret, Seed, Email, Password, AppMissing, SeedMissing, LoginMissing string }
	well := read{AppKey: "key", AppSecret: "secret", Seed: "token", Email: "a@example", Password: "word"}
	with := func(change func(*read)) read { changed := well; change(&changed); return changed }
	const missing, notFound, invalid = v1alpha1.SecretKeyMissingReason, v1alpha1.SecretNotFoundReason, v1alpha1.InvalidParametersReason
	for _, each := range []struct {
		name, reason string
		change       func(c *cluster, credential *v1alpha1.TokenCredential)
		want         read
	}{
		{"all is there", "each value is where it belongs", func(*cluster, *v1alpha1.TokenCredential) {}, well},
		{"keys of other names", "the credential says under which keys the values are", func(c *cluster, credential *v1alpha1.TokenCredential) {
			c.put("app", "4", map[string]string{"id": "key", "pass": "secret"})
			c.put("seed", "5", map[string]string{"rt": "token"})
			credential.Spec.AppSecretRef.KeyField, credential.Spec.AppSecretRef.SecretField = "id", "pass"
			credential.Spec.RefreshTokenSecretRef.Key = "rt"
		}, well},
		{"line feeds, as echo leaves them", "no key or token ends with one", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("app", "4", map[string]string{"app_key": "key\n", "app_secret": "secret\r\n"})
			c.put("seed", "5", map[string]string{"refresh_token": "token\n"})
			c.put("login", "6", map[string]string{"email": "a@example\n", "password": "word\n"})
		}, well},
		{"byte order marks, as some editors leave them", "they belong to the file, not to the value", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("app", "4", map[string]string{"app_key": "\ufeffkey", "app_secret": "\ufeffsecret"})
			c.put("seed", "5", map[string]string{"refresh_token": "\ufefftoken"})
			c.put("login", "6", map[string]string{"email": "\ufeffa@example", "password": "\ufeffword"})
		}, well},
		{"UTF-16, as PowerShell writes it", "its byte order mark says so", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("app", "4", map[string]string{"app_key": "\xff\xfek\x00e\x00y\x00\r\x00\n\x00", "app_secret": "\xfe\xff\x00s\x00e\x00c\x00r\x00e\x00t"})
			c.put("seed", "5", map[string]string{"refresh_token": "\xff\xfet\x00o\x00k\x00e\x00n\x00"})
			c.put("login", "6", map[string]string{"email": "\ufeff\ufeffa@example\r\n", "password": "\xff\xfew\x00o\x00r\x00d\x00"})
		}, well},
		{"marks of no width, as a clipboard brings them", "a page that shows a token shows none of them", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("app", "4", map[string]string{"app_key": "\u200bkey", "app_secret": "secret\u200b\n"})
			c.put("seed", "5", map[string]string{"refresh_token": "\u2060token\ufeff\n"})
			c.put("login", "6", map[string]string{"email": "\u200ea@example\u200e", "password": "word\u200b"})
		}, well},
		{"white space around", "no token has any; a password may", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("seed", "5", map[string]string{"refresh_token": "\t token \n"})
			c.put("login", "6", map[string]string{"email": "a@example", "password": " word "})
		}, with(func(r *read) { r.Password = " word " })},
		{"an app without a secret's key", "a public client says so by an empty value", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("app", "4", map[string]string{"app_key": "key"})
		}, with(func(r *read) { r.AppSecret, r.AppMissing = "", missing })},
		{"an app with an empty secret", "a public client has none", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("app", "4", map[string]string{"app_key": "key", "app_secret": ""})
		}, with(func(r *read) { r.AppSecret = "" })},
		{"an app with an empty key", "an app is known by its key", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("app", "4", map[string]string{"app_key": "\n", "app_secret": "secret"})
		}, with(func(r *read) { r.AppKey, r.AppSecret, r.AppMissing = "", "", missing })},
		{"no Secret of the app", "it is missed where it is needed", func(c *cluster, _ *v1alpha1.TokenCredential) { c.remove("app") },
			with(func(r *read) { r.AppKey, r.AppSecret, r.AppMissing = "", "", notFound })},
		{"no reference to an app", "the provider requires one", func(_ *cluster, credential *v1alpha1.TokenCredential) { credential.Spec.AppSecretRef = nil },
			with(func(r *read) { r.AppKey, r.AppSecret, r.AppMissing = "", "", invalid })},
		{"no Secret of the seed", "the state may hold a refresh token all the same", func(c *cluster, _ *v1alpha1.TokenCredential) { c.remove("seed") },
			with(func(r *read) { r.Seed, r.SeedMissing = "", notFound })},
		{"a seed's Secret without the key", "a person has put it under another", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("seed", "5", map[string]string{"other": "token"})
		}, with(func(r *read) { r.Seed, r.SeedMissing = "", missing })},
		{"an empty seed", "a placeholder is no token", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("seed", "5", map[string]string{"refresh_token": ""})
		},
			with(func(r *read) { r.Seed, r.SeedMissing = "", missing })},
		{"a seed of white space alone", "it is as missing as an empty one", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("seed", "5", map[string]string{"refresh_token": " \n"})
		}, with(func(r *read) { r.Seed, r.SeedMissing = "", missing })},
		{"a seed of a byte order mark alone", "it is as missing as an empty one", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("seed", "5", map[string]string{"refresh_token": "\ufeff\n"})
		}, with(func(r *read) { r.Seed, r.SeedMissing = "", missing })},
		{"no reference to a seed", "the provider can log in", func(_ *cluster, credential *v1alpha1.TokenCredential) { credential.Spec.RefreshTokenSecretRef = nil },
			with(func(r *read) { r.Seed = "" })},
		{"no Secret for the login", "a login is not possible", func(c *cluster, _ *v1alpha1.TokenCredential) { c.remove("login") },
			with(func(r *read) { r.Email, r.Password, r.LoginMissing = "", "", notFound })},
		{"a login without a key", "every key is needed", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("login", "6", map[string]string{"email": "a@example"})
		}, with(func(r *read) { r.Password, r.LoginMissing = "", missing })},
		{"a login with a blank value", "nobody's password is white space", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("login", "6", map[string]string{"email": "a@example", "password": "  \n"})
		}, with(func(r *read) { r.Password, r.LoginMissing = "", missing })},
		{"no reference to a login", "the credential may do without", func(_ *cluster, credential *v1alpha1.TokenCredential) { credential.Spec.LoginSecretRef = nil },
			with(func(r *read) { r.Email, r.Password, r.LoginMissing = "", "", invalid })},
		{"a provider that takes nothing", "what it does not take is ignored", func(_ *cluster, credential *v1alpha1.TokenCredential) { credential.Spec.ProviderRef.Name = "bare" },
			read{}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			c, credential := fullCluster(), full()
			each.change(c, credential)
			in, err := gathererOf(t, c).Gather(t.Context(), credential)
			if err != nil {
				t.Fatal(err)
			}
			reasonOf := func(p *problem.Problem) string {
				if p == nil {
					return ""
				}
				return p.Reason
			}
			got := read{in.AppKey.Reveal(), in.AppSecret.Reveal(), in.Seed.Reveal(), in.Login["email"].Reveal(), in.Login["password"].Reveal(),
				reasonOf(in.AppMissing), reasonOf(in.SeedMissing), reasonOf(in.LoginMissing)}
			if diff := cmp.Diff(each.want, got); diff != "" {
				t.Errorf("(-want +got)\n%sreason: %s", diff, each.reason)
			}
			if got, want := in.CanLogin(), in.LoginMissing == nil; got != want {
				t.Errorf("CanLogin is %t, want %t", got, want)
			}
		})
	}
}

// TestGatherSaysWhatIsWrong ends in a problem that names what to change, and nothing
// that is secret.
func TestGatherSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	quoting := errors.New(`cannot take "` + canary + `"`)
	for _, each := range []struct {
		name, reason string
		change       func(c *cluster, credential *v1alpha1.TokenCredential)
		want         string // the reason of the API
		says         []string
	}{
		{"an unknown built-in", "the message says which was meant, and lists a few whole", func(_ *cluster, credential *v1alpha1.TokenCredential) { credential.Spec.ProviderRef.Name = "shpo" },
			v1alpha1.ProviderNotFoundReason, []string{`"shpo"`, "did you mean shop?", "there are bare, shop", "spec.providerRef.name", "kubectl tokencredential providers"}},
		{"a kind of provider that a newer CRD knows", "it is not taken for the default", func(_ *cluster, credential *v1alpha1.TokenCredential) {
			credential.Spec.ProviderRef.Kind = "TokenProvider"
		}, v1alpha1.InvalidParametersReason, []string{`"TokenProvider"`, "ClusterTokenProvider", "upgrade"}},
		{"a duration that is none", "an older CRD may have let it in", func(_ *cluster, credential *v1alpha1.TokenCredential) {
			credential.Spec.Renewal.Before = &v1alpha1.Duration{Unreadable: `"soon"`}
		}, v1alpha1.InvalidParametersReason, []string{"spec.renewal.before", "5m"}},
		{"a parameter that the provider does not take", "a typing error is not ignored", func(_ *cluster, credential *v1alpha1.TokenCredential) {
			credential.Spec.Parameters = map[string]string{"sight": "x"}
		}, v1alpha1.InvalidParametersReason, []string{"spec.parameters.sight"}},
		{"a service account's token as the app", "whoever has it acts in the cluster", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.live["app"].Type = corev1.SecretTypeServiceAccountToken
		}, v1alpha1.InvalidParametersReason, []string{`"app"`, "spec.appSecretRef", "kubernetes.io/service-account-token", "opens this cluster"}},
		{"a Helm release as the seed", "a chart's values hold passwords", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.live["seed"].Type = "helm.sh/release.v1"
		}, v1alpha1.InvalidParametersReason, []string{`"seed"`, "spec.refreshTokenSecretRef", "helm.sh/release.v1"}},
		{"a bootstrap token as the login", "whoever has it adds a node", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.live["login"].Type = corev1.SecretTypeBootstrapToken
		}, v1alpha1.InvalidParametersReason, []string{`"login"`, "spec.loginSecretRef", "bootstrap.kubernetes.io/token"}},
		{"a state under another name", "its type tells", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.live["app"].Type = v1alpha1.StateSecretType
		}, v1alpha1.InvalidParametersReason, []string{`"app"`, "live refresh token"}},
		{"a name of a state", "it is refused whatever is there, and is not read", func(_ *cluster, credential *v1alpha1.TokenCredential) {
			credential.Spec.LoginSecretRef.Name = "other-token-state"
		}, v1alpha1.InvalidParametersReason, []string{`"other-token-state"`, "spec.loginSecretRef"}},
		{"the API server forbids the read", "the Secret is named, and what to do", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.fails = apierrors.NewForbidden(secretResource, "app", quoting)
		}, v1alpha1.PersistBlockedReason, []string{`"app"`, "spec.appSecretRef", "Forbidden", "does not let"}},
		{"the API server fails", "the Secret is named", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.fails = apierrors.NewInternalError(quoting)
		}, v1alpha1.PersistBlockedReason, []string{`"app"`, "InternalError", "failed to read"}},
		{"the API server cannot be reached", "that is no refusal", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.fails = fmt.Errorf("dial tcp: %w", quoting)
		}, v1alpha1.PersistBlockedReason, []string{`"app"`, "could not be reached"}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			c, credential := fullCluster(), full()
			each.change(c, credential)
			_, err := gathererOf(t, c).Gather(t.Context(), credential)
			p := problem.Of(err)
			if p == nil {
				t.Fatalf("the error is %v, and no problem", err)
			}
			if p.Reason != each.want {
				t.Errorf("the reason is %s, want %s: %s", p.Reason, each.want, each.reason)
			}
			for _, part := range each.says {
				if !strings.Contains(p.Message, part) {
					t.Errorf("the message does not say %s: %s\nreason: %s", part, p.Message, each.reason)
				}
			}
			if strings.Contains(p.Message, canary) {
				t.Error("the message quotes the API server, which may quote a secret")
			}
		})
	}
}

// TestCachedDigestIsThatOfGather compares what the cache alone gives with what was
// read, and with the digest before a change.
func TestCachedDigestIsThatOfGather(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		change       func(c *cluster, credential *v1alpha1.TokenCredential)
		differs      bool // from before the change
	}{
		{"nothing has changed", "there is nothing to look at", func(*cluster, *v1alpha1.TokenCredential) {}, false},
		{"a parameter has changed", "it may be the cure of a failure", func(_ *cluster, credential *v1alpha1.TokenCredential) {
			credential.Spec.Parameters = map[string]string{"site": "other"}
		}, true},
		{"the renewal has changed", "it cures nothing", func(_ *cluster, credential *v1alpha1.TokenCredential) {
			credential.Spec.Renewal.Percentage--
		}, false},
		{"a Secret has changed", "its version is part of it", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("login", "7", map[string]string{"email": "b@example", "password": "word"})
		}, true},
		{"a Secret is gone", "so is its version", func(c *cluster, _ *v1alpha1.TokenCredential) { c.remove("seed") }, true},
		{"two Secrets have changed places", "which is which is part of it", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("app", "2", map[string]string{"app_key": "key", "app_secret": "secret"})
			c.put("seed", "1", map[string]string{"refresh_token": "token"})
		}, true},
		{"another provider", "its edition is part of it", func(_ *cluster, credential *v1alpha1.TokenCredential) { credential.Spec.ProviderRef.Name = "bare" }, true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			c, credential := fullCluster(), full()
			g := gathererOf(t, c)
			before, err := g.CachedDigest(t.Context(), credential)
			if err != nil {
				t.Fatal(err)
			}
			each.change(c, credential)
			cached, err := g.CachedDigest(t.Context(), credential)
			if err != nil {
				t.Fatal(err)
			}
			in, err := g.Gather(t.Context(), credential)
			if err != nil {
				t.Fatal(err)
			}
			if cached != in.Digest {
				t.Errorf("by the cache it is %s, and as gathered %s\nreason: %s", cached, in.Digest, each.reason)
			}
			if differs := cached != before; differs != each.differs {
				t.Errorf("it differs from before: %t, want %t\nreason: %s", differs, each.differs, each.reason)
			}
		})
	}
}

// TestLiveSeedPassesTheCacheBy reads the seed as it is now.
func TestLiveSeedPassesTheCacheBy(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		change       func(c *cluster, credential *v1alpha1.TokenCredential)
		want         secret.Text
		failed       string
	}{
		{"the Secret has changed, and the cache is stale", "a new seed is why one looks again", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.put("seed", "7", map[string]string{"refresh_token": "newer\n"})
			c.cached["seed"] = "2"
		}, secret.New("newer"), ""},
		{"the Secret is gone", "then there is no seed", func(c *cluster, _ *v1alpha1.TokenCredential) { c.remove("seed") }, secret.Text{}, ""},
		{"the credential names none", "then there is no seed", func(_ *cluster, credential *v1alpha1.TokenCredential) { credential.Spec.RefreshTokenSecretRef = nil }, secret.Text{}, ""},
		{"the API server forbids it", "it is not taken for a missing seed", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.fails = apierrors.NewForbidden(secretResource, "seed", errors.New(canary))
		}, secret.Text{}, v1alpha1.PersistBlockedReason},
		{"a Secret of a type that is never sent has come in its place", "that is no seed, and no missing one", func(c *cluster, _ *v1alpha1.TokenCredential) {
			c.live["seed"].Type = corev1.SecretTypeServiceAccountToken
		}, secret.Text{}, v1alpha1.InvalidParametersReason},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			c, credential := fullCluster(), full()
			g := gathererOf(t, c)
			if _, err := g.Gather(t.Context(), credential); err != nil {
				t.Fatal(err)
			}
			each.change(c, credential)
			got, err := g.LiveSeed(t.Context(), credential)
			if !got.Equal(each.want) || each.failed != "" && !problem.Is(err, each.failed) || each.failed == "" && err != nil {
				t.Errorf("the seed is as wanted: %t; the error is %v\nreason: %s", got.Equal(each.want), err, each.reason)
			}
		})
	}
}

// TestSourceTellsWhatTokensAreAskedFrom compares with a BuiltIn at one site.
func TestSourceTellsWhatTokensAreAskedFrom(t *testing.T) {
	t.Parallel()
	at := func(site string) map[string]string { return map[string]string{"site": site} }
	one := SourceOf(v1alpha1.ProviderReference{Kind: v1alpha1.BuiltInProvider, Name: "shop"}, at("a"))
	for _, each := range []struct {
		name, reason string
		ref          v1alpha1.ProviderReference
		parameters   map[string]string
		same         bool
	}{
		{"the kind is left out", "BuiltIn is the default", v1alpha1.ProviderReference{Name: "shop"}, at("a"), true},
		{"a described provider of the same name", "it is another", v1alpha1.ProviderReference{Kind: v1alpha1.ClusterProvider, Name: "shop"}, at("a"), false},
		{"another name", "it is another", v1alpha1.ProviderReference{Name: "bare"}, at("a"), false},
		{"another site", "tokens of one are of no use at the other", v1alpha1.ProviderReference{Name: "shop"}, at("b"), false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if same := SourceOf(each.ref, each.parameters) == one; same != each.same {
				t.Errorf("the same source: %t, want %t\nreason: %s", same, each.same, each.reason)
			}
		})
	}
}

// TestAllMissingKeysAreTold in one message: told one after the other, each costs a person
// another look.
func TestAllMissingKeysAreTold(t *testing.T) {
	t.Parallel()
	c := fullCluster()
	c.put("app", "4", map[string]string{"other": "key"})
	c.put("login", "5", map[string]string{"e-mail": "a@example"})
	in, err := gathererOf(t, c).Gather(t.Context(), full())
	if err != nil {
		t.Fatal(err)
	}
	for _, told := range []struct {
		missing *problem.Problem
		keys    []string
	}{{in.AppMissing, []string{`"app_key"`, `"app_secret"`}}, {in.LoginMissing, []string{`"email"`, `"password"`}}} {
		if told.missing == nil || told.missing.Reason != v1alpha1.SecretKeyMissingReason {
			t.Errorf("%v, want the reason %s", told.missing, v1alpha1.SecretKeyMissingReason)
			continue
		}
		for _, key := range told.keys {
			if !strings.Contains(told.missing.Message, key) {
				t.Errorf("%q does not tell of the key %s", told.missing.Message, key)
			}
		}
	}
}
