// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"cmp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// badInput is something that a user or admin got wrong, at first or later.
type badInput struct {
	name   string
	reason string // why it must be as it is
	// shows is the row of the list of faults that the case shows, if any.
	shows string

	provider string                              // built-in that the credential is of
	good     func(*v1alpha1.TokenCredentialSpec) // shapes the credential, beside spoil and mend
	prepare  func(*world)                        // before the credential exists
	spoil    func(*world)
	mend     func(*world)

	condition string // reason of Refreshed
	ready     string // reason of Ready where there is no token; default: condition
	says      []string
	// later is what it comes to, and what is said, once a token was obtained; default: as
	// before.
	later     string
	laterSays []string
	// harmlessLater: once a token was obtained it is not needed any more.
	harmlessLater bool
	// takesToken: what is wrong is that the token is not in the target.
	takesToken bool
	check      func(*world)
}

func TestBadInputIsToldAndHealsByItself(t *testing.T) {
	t.Parallel()
	for _, each := range badInputs() {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if each.shows != "" {
				faults.Shows(t, each.shows)
			}
			w := newWorld(t, simulator.Hour)
			if each.prepare != nil {
				each.prepare(w)
			}
			b := builtInNamed(t, cmp.Or(each.provider, "xiaomi"))
			var change []func(*v1alpha1.TokenCredentialSpec)
			if each.good != nil {
				change = append(change, each.good)
			}
			b.create(w, change...)
			each.spoil(w)
			w.start()
			each.wrongAtFirst(w, b.provider)
			each.mend(w)
			w.awaitRefreshes(b.provider, 1)
			w.awaitFresh(b.provider)
			each.wrongLater(w, b.provider)
			each.mend(w)
			w.awaitFresh(b.provider)
			if token := string(w.read(b.target())["access_token"]); !w.simulator.AccessTokenValid(token) {
				t.Errorf("the target holds no valid token at the end\nreason: %s", each.reason)
			}
			if totals := w.simulator.Totals(); totals.Reuses != 0 {
				t.Errorf("a spent token was sent\nreason: %s", each.reason)
			}
		})
	}
}

// wrongAtFirst: there is no token yet, so the credential is not Ready.
func (each badInput) wrongAtFirst(w *world, name string) {
	w.t.Helper()
	w.awaitCondition(name, v1alpha1.ReadyCondition, metav1.ConditionFalse, cmp.Or(each.ready, each.condition))
	c, refreshed := w.awaitCondition(name, v1alpha1.RefreshedCondition, metav1.ConditionFalse, each.condition)
	each.checkTold(w, c, refreshed)
	if each.check != nil {
		each.check(w)
	}
	if calls := w.calls(); calls != 0 {
		w.t.Errorf("the provider got %d calls, want none\nreason: %s", calls, each.reason)
	}
}

// wrongLater: the token that was obtained lives on.
func (each badInput) wrongLater(w *world, name string) {
	w.t.Helper()
	before, calls := w.look(name), w.calls()
	each.spoil(w)
	if each.harmlessLater {
		w.await(name, "a look at the inputs", func(c *v1alpha1.TokenCredential) bool {
			return c.Status.ObservedInputs != before.Status.ObservedInputs
		})
		w.awaitLook(name)
		w.awaitFresh(name)
	} else {
		if each.later != "" {
			each.condition, each.says = each.later, each.laterSays
		}
		c, refreshed := w.awaitCondition(name, v1alpha1.RefreshedCondition, metav1.ConditionFalse, each.condition)
		each.checkTold(w, c, refreshed)
		if ready := meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ReadyCondition); ready == each.takesToken {
			w.t.Errorf("Ready is %t although the old token is in the target: %t\nreason: %s\n%s", ready, !each.takesToken, each.reason, describe(c))
		}
	}
	if again := w.calls(); again != calls {
		w.t.Errorf("the provider got %d calls, want none\nreason: %s", again-calls, each.reason)
	}
}

// checkTold checks that the message says what is wrong, and that exactly one of
// Stalled and Reconciling says how it goes on.
func (each badInput) checkTold(w *world, c *v1alpha1.TokenCredential, refreshed *metav1.Condition) {
	w.t.Helper()
	for _, part := range each.says {
		if !strings.Contains(refreshed.Message, part) {
			w.t.Errorf("the message does not say %q: %s\nreason: %s", part, refreshed.Message, each.reason)
		}
	}
	stalled := meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.StalledCondition)
	if reconciling := meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ReconcilingCondition); stalled == reconciling {
		w.t.Errorf("Stalled is %t and Reconciling is %t\nreason: %s\n%s", stalled, reconciling, each.reason, describe(c))
	}
}

func badInputs() []badInput {
	var all []badInput
	for _, some := range [][]badInput{badSecrets(), badProviders(), badParameters(), badTargets(), deniedAddresses()} {
		all = append(all, some...)
	}
	return all
}

func badSecrets() []badInput {
	goodApp := map[string]string{"app_key": simulator.DemoXiaomiClientID, "app_secret": simulator.DemoXiaomiClientSecret}
	set := func(name string, data map[string]string) func(*world) {
		return func(w *world) { w.secret(name, data) }
	}
	remove := func(name string) func(*world) { return func(w *world) { w.deleteSecret(name) } }
	goodSeed := set("xiaomi-seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken})
	login := map[string]string{"username": simulator.DemoOracleStoreUsername, "password": simulator.DemoOracleStorePassword}
	return []badInput{
		{
			name: "the Secret with the app does not exist", reason: "the next refresh needs it, so it is told while there is time",
			spoil: remove("xiaomi-app"), mend: set("xiaomi-app", goodApp),
			condition: v1alpha1.SecretNotFoundReason, says: []string{`"xiaomi-app"`, "spec.appSecretRef", "create it"},
		},
		{
			name: "the Secret with the app lacks the key", reason: "a request without the app's key would be refused",
			spoil: set("xiaomi-app", map[string]string{"app_secret": "x"}), mend: set("xiaomi-app", goodApp),
			condition: v1alpha1.SecretKeyMissingReason, says: []string{`"xiaomi-app"`, `"app_key"`, "spec.appSecretRef.keyField", "add it"},
		},
		{
			name: "the Secret with the app has an empty key", reason: "an empty value is as good as none",
			spoil:     set("xiaomi-app", map[string]string{"app_key": "\n", "app_secret": "x"}),
			mend:      set("xiaomi-app", goodApp),
			condition: v1alpha1.SecretKeyMissingReason, says: []string{`"app_key"`},
		},
		{
			name: "the Secret with the app lacks the secret", reason: "a public client says so with an empty value",
			spoil: set("xiaomi-app", map[string]string{"app_key": "x"}), mend: set("xiaomi-app", goodApp),
			condition: v1alpha1.SecretKeyMissingReason, says: []string{`"app_secret"`, "spec.appSecretRef.secretField"},
		},
		{
			name: "the Secret with the seed does not exist", reason: "a seed is needed once; later the state has its successor",
			spoil: remove("xiaomi-seed"), mend: goodSeed, harmlessLater: true,
			condition: v1alpha1.SecretNotFoundReason, says: []string{`"xiaomi-seed"`, "spec.refreshTokenSecretRef", "create it"},
		},
		{
			name: "the Secret with the seed lacks the key", reason: "a seed is needed once; later the state has its successor",
			spoil: set("xiaomi-seed", map[string]string{"token": "x"}), mend: goodSeed, harmlessLater: true,
			condition: v1alpha1.SecretKeyMissingReason, says: []string{`"xiaomi-seed"`, `"refresh_token"`, "add it"},
		},
		{
			name: "the Secret to log in with does not exist", provider: "oracle-commerce-store",
			reason: "a login is needed at first, and again only where a refresh fails",
			spoil:  remove("oracle-commerce-store-login"), mend: set("oracle-commerce-store-login", login), harmlessLater: true,
			condition: v1alpha1.SecretNotFoundReason, says: []string{`"oracle-commerce-store-login"`, "spec.loginSecretRef", "create it"},
		},
		{
			name: "the Secret to log in with lacks a key", provider: "oracle-commerce-store",
			reason: "a login is needed at first, and again only where a refresh fails",
			spoil:  set("oracle-commerce-store-login", map[string]string{"username": "x"}),
			mend:   set("oracle-commerce-store-login", login), harmlessLater: true,
			condition: v1alpha1.SecretKeyMissingReason, says: []string{`"password"`, "add it"},
		},
	}
}

// cluster is the name of the ClusterTokenProvider that belongs to a world.
func (w *world) cluster() string { return "of-" + w.namespace }

// describeProvider creates or replaces a ClusterTokenProvider.
func (w *world) describeProvider(change func(*v1alpha1.ClusterTokenProviderSpec)) {
	w.t.Helper()
	specs, err := builtin.Specs()
	must(w.t, err)
	spec := specs["xiaomi"]
	if change != nil {
		change(&spec)
	}
	w.provide(spec)
}

func badProviders() []badInput {
	refer := func(kind v1alpha1.ProviderKind, name string) func(*world) {
		return func(w *world) {
			w.edit("xiaomi", func(c *v1alpha1.TokenCredential) {
				c.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: kind, Name: name}
			})
		}
	}
	describe := func(w *world) { w.describeProvider(nil) }
	return []badInput{
		{
			name: "the built-in provider does not exist", reason: "a typing error is told with the name that was meant, and where all are",
			spoil: refer(v1alpha1.BuiltInProvider, "xiaomy"), mend: refer(v1alpha1.BuiltInProvider, "xiaomi"),
			condition: v1alpha1.ProviderNotFoundReason, says: []string{`"xiaomy"`, "did you mean xiaomi?", "spec.providerRef.name", "kubectl tokencredential providers"},
		},
		{
			name: "the ClusterTokenProvider does not exist", reason: "it may come at any time, and the credential must see it",
			spoil: func(w *world) {
				refer(v1alpha1.ClusterProvider, w.cluster())(w)
				w.unprovide()
			},
			mend:      describe,
			condition: v1alpha1.ProviderNotFoundReason, says: []string{"ClusterTokenProvider", "create it"},
		},
		{
			name: "the ClusterTokenProvider does not compile", reason: "the admin is told where, the user whom to ask",
			spoil: func(w *world) {
				w.describeProvider(func(spec *v1alpha1.ClusterTokenProviderSpec) {
					spec.Refresh.Request.Query["client_id"] = "${app.kee}"
				})
				refer(v1alpha1.ClusterProvider, w.cluster())(w)
			},
			mend:      describe,
			condition: v1alpha1.ProviderInvalidReason, says: []string{"does not compile", "its own status says where"},
			check: func(w *world) {
				w.awaitProvider(metav1.ConditionFalse, v1alpha1.ProviderInvalidReason, "spec.refresh.request.query.client_id:1:6:", "kee")
			},
		},
	}
}

func badParameters() []badInput {
	set := func(parameters map[string]string) func(*world) {
		return func(w *world) {
			w.edit("xiaomi", func(c *v1alpha1.TokenCredential) { c.Spec.Parameters = parameters })
		}
	}
	good := map[string]string{"redirectURI": simulator.DemoXiaomiRedirectURI}
	template := func(text string) func(*world) {
		return func(w *world) {
			w.edit("xiaomi", func(c *v1alpha1.TokenCredential) {
				c.Spec.Target.Template = &v1alpha1.TargetTemplate{Data: map[string]string{"access_token": text}}
			})
		}
	}
	return []badInput{
		{
			name: "a parameter is missing", reason: "the message says which, and what it is for",
			spoil: set(nil), mend: set(good),
			condition: v1alpha1.InvalidParametersReason, says: []string{"redirectURI", "https://shop.example/callback"},
		},
		{
			name: "a parameter is unknown", reason: "a typing error must not be ignored",
			spoil: set(map[string]string{"redirectURI": good["redirectURI"], "redirectUri": "https://x.example"}), mend: set(good),
			condition: v1alpha1.InvalidParametersReason, says: []string{"redirectUri", "redirectURI"},
		},
		{
			name: "a parameter breaks its pattern", reason: "the pattern guards what is called",
			spoil: set(map[string]string{"redirectURI": "shop example"}), mend: set(good),
			condition: v1alpha1.InvalidParametersReason, says: []string{"redirectURI", "https://shop.example/callback"},
		},
		{
			name: "the template does not compile", reason: "it is found before a token is spent, with its place",
			spoil: template("${acessToken}"), mend: template("${accessToken}"),
			condition: v1alpha1.InvalidParametersReason, says: []string{"spec.target.template.data[access_token]:1:", "acessToken"},
		},
	}
}

func badTargets() []badInput {
	const target = "xiaomi-token"
	remove := func(w *world) { w.deleteSecret(target) }
	replace := func(change func(*corev1.Secret)) func(*world) {
		return func(w *world) {
			// The operator mends its own target at once, so it may have to be deleted
			// more than once before another can take its place.
			replaced := w.eventually(func() bool {
				w.deleteSecret(target)
				secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: target}, StringData: map[string]string{"theirs": "x"}}
				change(secret)
				return w.Create(w.t.Context(), secret) == nil
			})
			if !replaced {
				w.t.Fatal("the target could not be replaced")
			}
		}
	}
	merge := func(spec *v1alpha1.TokenCredentialSpec) { spec.Target.CreationPolicy = v1alpha1.MergePolicy }
	return []badInput{
		{
			name: "the target is owned by someone else", reason: "what someone else owns is never written", takesToken: true,
			shows: "a target that someone else owns",
			spoil: replace(func(s *corev1.Secret) {
				s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "theirs", UID: "00000000-0000-0000-0000-000000000001", Controller: ptr.To(true)}}
			}),
			mend:      remove,
			condition: v1alpha1.TargetConflictReason, says: []string{`"xiaomi-token"`, `ConfigMap "theirs"`, "spec.target.name"},
		},
		{
			name: "the target is owned by nobody", reason: "it may be anybody's, so it is never taken over", takesToken: true,
			shows: "a target that someone else owns",
			spoil: replace(func(*corev1.Secret) {}), mend: remove,
			condition: v1alpha1.TargetConflictReason, says: []string{"not owned by this credential", "delete it", "Merge"},
		},
		{
			name: "the target is immutable", reason: "it is found before a token is spent", takesToken: true,
			spoil: replace(func(s *corev1.Secret) { s.Immutable = ptr.To(true) }), mend: remove,
			condition: v1alpha1.TargetConflictReason, says: []string{"immutable", "delete it"},
		},
		{
			name: "the target is a service-account token", reason: "it must never be written", takesToken: true,
			shows: "a target that is a service-account token",
			spoil: replace(func(s *corev1.Secret) {
				s.Type = corev1.SecretTypeServiceAccountToken
				s.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
			}),
			mend:      remove,
			condition: v1alpha1.TargetConflictReason, says: []string{"kubernetes.io/service-account-token", "spec.target.name"},
		},
		{
			name: "the target to merge into is a service-account token", reason: "Merge does not widen what may be written", takesToken: true,
			shows: "a target that is a service-account token",
			good:  merge,
			spoil: replace(func(s *corev1.Secret) {
				s.Type = corev1.SecretTypeServiceAccountToken
				s.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
			}),
			mend:      replace(func(*corev1.Secret) {}),
			condition: v1alpha1.TargetConflictReason, says: []string{"kubernetes.io/service-account-token"},
		},
		{
			name: "the target is of another type", reason: "a Secret's type cannot change", takesToken: true,
			spoil: replace(func(s *corev1.Secret) {
				s.Type = corev1.SecretTypeSSHAuth
				s.StringData = map[string]string{corev1.SSHAuthPrivateKey: "x"}
			}),
			mend:      remove,
			condition: v1alpha1.TargetConflictReason, says: []string{"kubernetes.io/ssh-auth"},
		},
		{
			name: "the target to merge into does not exist", reason: "Merge never creates a Secret", takesToken: true,
			good:  merge,
			spoil: remove, mend: replace(func(*corev1.Secret) {}),
			condition: v1alpha1.SecretNotFoundReason, says: []string{`"xiaomi-token"`, "create it", "Owner"},
		},
	}
}

func deniedAddresses() []badInput {
	call := func(url string) func(*world) {
		return func(w *world) {
			w.edit("oauth2", func(c *v1alpha1.TokenCredential) { c.Spec.Parameters = map[string]string{"tokenURL": url} })
		}
	}
	mend := call(simulator.DemoOAuthTokenURL)
	return []badInput{
		{
			name: "the address is plain HTTP", reason: "a token must not travel in clear", provider: "oauth2",
			spoil: call("http://" + simulator.DemoAuthHost + "/token"), mend: mend,
			condition: v1alpha1.EgressDeniedReason, says: []string{"plain HTTP", "--egress-allow-plain-http"},
			later: v1alpha1.ReauthorizationRequiredReason, laterSays: []string{"https://" + simulator.DemoAuthHost, "http://" + simulator.DemoAuthHost},
		},
		{
			name: "the address is private", reason: "a tenant must not reach into the network", provider: "oauth2",
			shows: "169.254.169.254, ::1, IPv4 in IPv6, private ranges",
			spoil: call("https://169.254.169.254/token"), mend: mend,
			condition: v1alpha1.EgressDeniedReason, says: []string{"169.254.169.254", "--egress-allow-cidrs"},
			later: v1alpha1.ReauthorizationRequiredReason, laterSays: []string{"https://" + simulator.DemoAuthHost, "https://169.254.169.254"},
		},
		{
			name: "the host is not allowed", reason: "the admin has narrowed the hosts", provider: "oauth2",
			prepare: func(w *world) { must(w.t, w.policy.AllowHosts.Set(simulator.DemoAuthHost)) },
			spoil:   call("https://" + simulator.DemoShopHost + "/token"), mend: mend,
			condition: v1alpha1.EgressDeniedReason, says: []string{simulator.DemoShopHost, "--egress-allow-hosts"},
			later: v1alpha1.ReauthorizationRequiredReason, laterSays: []string{"https://" + simulator.DemoAuthHost, "https://" + simulator.DemoShopHost},
		},
	}
}
