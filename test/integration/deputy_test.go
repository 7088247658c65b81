// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// What a tenant tries who may write TokenCredentials and may not read or write the
// Secrets of the namespace: the operator has the rights, and must not lend them.

// foreign makes a Secret of others.
func (w *world) foreign(name string, kind corev1.SecretType, data map[string]string, change func(*corev1.Secret)) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, Type: kind, StringData: data}
	if change != nil {
		change(secret)
	}
	must(w.t, w.Create(w.t.Context(), secret))
}

// refusedWith waits until a credential has stalled for a reason that says something, and
// checks that nobody was called since a count of calls.
func (w *world) refusedWith(name, reason string, calls int64, says ...string) {
	w.t.Helper()
	message := w.awaitTold(name, reason)
	for _, part := range says {
		if !strings.Contains(message, part) {
			w.t.Errorf("the message does not say %q: %s", part, message)
		}
	}
	if got := w.calls() - calls; got != 0 {
		w.t.Errorf("the provider got %d calls", got)
	}
}

func TestATenantHasTheClustersOwnSecretsSentToItsHost(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a Secret of the cluster's own as an input")
	w := newWorld(t, simulator.Hour)
	w.start()
	b := builtInNamed(t, "oauth2")
	b.create(w)
	w.awaitFresh(b.provider)
	spec := w.look(b.provider).Spec
	for _, each := range []struct {
		name string
		kind corev1.SecretType
		make func(*corev1.Secret)
	}{
		{"sa-token", corev1.SecretTypeServiceAccountToken, func(s *corev1.Secret) {
			s.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
		}},
		{"bootstrap", corev1.SecretTypeBootstrapToken, nil},
		{"release", "helm.sh/release.v1", nil},
		{"state", v1alpha1.StateSecretType, nil},
	} {
		w.foreign(each.name, each.kind, map[string]string{"app_key": "k", "app_secret": "s", "refresh_token": "r"}, each.make)
		calls := w.calls()
		thief := spec.DeepCopy()
		thief.AppSecretRef.Name, thief.Target.Name = v1alpha1.SecretName(each.name), v1alpha1.SecretName("target-"+each.name)
		w.credential("app-"+each.name, *thief)
		w.refusedWith("app-"+each.name, v1alpha1.InvalidParametersReason, calls, each.name, string(each.kind), "spec.appSecretRef")
		thief = spec.DeepCopy()
		thief.RefreshTokenSecretRef.Name, thief.Target.Name = v1alpha1.SecretName(each.name), v1alpha1.SecretName("target2-"+each.name)
		w.credential("seed-"+each.name, *thief)
		w.refusedWith("seed-"+each.name, v1alpha1.InvalidParametersReason, calls, each.name, string(each.kind), "spec.refreshTokenSecretRef")
	}
}

func TestATenantHasAnotherCredentialsStateSentToItsHost(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "another credential's state as an input")
	w := newWorld(t, simulator.Hour)
	operator := w.start()
	b := builtInNamed(t, "oauth2")
	b.create(w)
	w.awaitFresh(b.provider)
	operator.shutDown()
	thief := w.look(b.provider).Spec
	thief.Target.Name = "thief-token"
	stateName := v1alpha1.SecretName(b.provider + v1alpha1.StateSecretSuffix)
	thief.RefreshTokenSecretRef.Name = stateName
	err := w.Create(t.Context(), &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "refused"}, Spec: thief})
	if !apierrors.IsInvalid(err) {
		t.Errorf("the API server takes a state Secret as a seed: %v", err)
	}
	// An older CRD let it in.
	calls := w.calls()
	thief.RefreshTokenSecretRef.Name = "harmless"
	w.credential("thief", thief)
	must(t, apiserver.Smuggle(t.Context(), "tokenkeeper.io/tokencredentials/"+w.namespace+"/thief", func(object map[string]any) {
		object["spec"].(map[string]any)["refreshTokenSecretRef"] = map[string]any{"name": string(stateName)}
	}))
	w.start()
	w.refusedWith("thief", v1alpha1.InvalidParametersReason, calls, string(stateName), "spec.refreshTokenSecretRef")
}

func TestATenantHasWriteBackOverwriteASecretOfOthers(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a write-back into a Secret of others")
	for _, each := range []struct {
		name, reason, says string
		kind               corev1.SecretType
		change             func(*corev1.Secret)
	}{
		{"a certificate", "who mounts it would break", "kubernetes.io/tls", corev1.SecretTypeTLS, func(s *corev1.Secret) {
			s.StringData["tls.crt"], s.StringData["tls.key"] = "c", "k"
		}},
		{"a Deployment's", "its owner writes it", `Deployment "web"`, corev1.SecretTypeOpaque, func(s *corev1.Secret) {
			s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "1", Controller: ptr.To(true)}}
		}},
		{"an immutable one", "it is found before the API server says so", "immutable", corev1.SecretTypeOpaque, func(s *corev1.Secret) { s.Immutable = ptr.To(true) }},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Hour)
			w.start()
			b := builtInNamed(t, "xiaomi")
			b.create(w, func(spec *v1alpha1.TokenCredentialSpec) {
				w.foreign("theirs", each.kind, map[string]string{"refresh_token": b.seed}, each.change)
				spec.RefreshTokenSecretRef.Name, spec.RefreshTokenSecretRef.WriteBack = "theirs", true
			})
			w.awaitRefreshes(b.provider, 1)
			_, stalled := w.awaitCondition(b.provider, v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.TargetConflictReason)
			if !strings.Contains(stalled.Message, each.says) || !strings.Contains(stalled.Message, "writeBack") {
				t.Errorf("the message does not say %q: %s", each.says, stalled.Message)
			}
			w.askForRefresh(b.provider, "goes on")
			w.awaitRefreshes(b.provider, 2) // and delays no renewal
			w.awaitLook(b.provider)
			if got := string(w.read("theirs")["refresh_token"]); got != b.seed {
				t.Errorf("the Secret was overwritten\nreason: %s", each.reason)
			}
		})
	}
}

func TestATenantTakesThePlaceOfAnotherCredentialsState(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a target in the place of a state that is yet to come")
	w := newWorld(t, simulator.Hour)
	b := builtInNamed(t, "mcs")
	b.create(w)
	// An older CRD let it in.
	must(t, apiserver.Smuggle(t.Context(), "tokenkeeper.io/tokencredentials/"+w.namespace+"/"+b.provider, func(object map[string]any) {
		object["spec"].(map[string]any)["target"] = map[string]any{"name": "victim-token-state"}
	}))
	w.start()
	w.refusedWith(b.provider, v1alpha1.TargetConflictReason, 0, "victim-token-state", "spec.target.name")
	if w.read("victim-token-state") != nil {
		t.Error("the place of the victim's state is taken")
	}
}

func TestATenantTakesOverTheTargetOfACredentialThatIsGone(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a credential under the name of one that is gone")
	w := newWorld(t, simulator.Hour)
	w.start()
	b := builtInNamed(t, "mcs")
	w.foreign(b.target(), corev1.SecretTypeOpaque, map[string]string{"access_token": "theirs"}, func(s *corev1.Secret) {
		s.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "TokenCredential", Name: b.provider, UID: "00000000-0000-0000-0000-000000000001", Controller: ptr.To(true)}}
	})
	b.create(w)
	w.refusedWith(b.provider, v1alpha1.TargetConflictReason, 0, b.target(), "an earlier TokenCredential")
	if got := string(w.read(b.target())["access_token"]); got != "theirs" {
		t.Error("the Secret of another UID's owner was overwritten")
	}
	w.deleteSecret(b.target()) // as garbage collection does
	w.awaitFresh(b.provider)
}

func TestACredentialThatIsReplacedAtOnceGetsATargetOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	w.start()
	b := builtInNamed(t, "xiaomi")
	b.create(w)
	w.awaitFresh(b.provider)
	before := w.look(b.provider)
	must(t, w.Delete(t.Context(), before))
	after := w.credential(b.provider, before.Spec)
	if !w.eventually(func() bool {
		target := &corev1.Secret{}
		if w.Get(t.Context(), w.key(b.target()), target) != nil {
			return false
		}
		owner := metav1.GetControllerOf(target)
		return owner != nil && owner.UID == after.UID
	}) {
		t.Error("the target is not the new credential's: what the one before left stands in its way")
	}
	w.awaitFresh(b.provider)
}

// elsewhere is a token endpoint at another origin, which would answer, too.
const elsewhere = "https://" + simulator.DemoShopHost + "/token"

func TestATenantEditsTheURLSoThatTheLiveRefreshTokenGoesToItsHost(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an edited URL that would send the live refresh token elsewhere")
	w := newWorld(t, simulator.Hour)
	w.start()
	b := builtInNamed(t, "oauth2")
	b.create(w)
	w.awaitFresh(b.provider)
	calls, live, good := w.calls(), w.state(b.provider, "refresh_token"), w.look(b.provider).Spec.Parameters["tokenURL"]
	point := func(url string) {
		w.edit(b.provider, func(c *v1alpha1.TokenCredential) { c.Spec.Parameters["tokenURL"] = url })
	}

	point(elsewhere)
	w.refusedWith(b.provider, v1alpha1.ReauthorizationRequiredReason, calls, "https://"+simulator.DemoShopHost, "https://"+simulator.DemoAuthHost)
	w.askForRefresh(b.provider, "even now")
	w.awaitLook(b.provider)
	if got := w.calls() - calls; got != 0 {
		t.Errorf("asked for a refresh, the operator made %d calls", got)
	}
	if w.state(b.provider, "refresh_token") != live {
		t.Fatal("the live refresh token is lost")
	}

	point(good)
	w.awaitFresh(b.provider)
	w.awaitRefreshes(b.provider, 2)
	if grant, _ := w.simulator.Grant(b.grant); grant.Reuses != 0 {
		t.Errorf("after the edit was undone a spent token was sent %d times", grant.Reuses)
	}
}

// The provider itself has moved: whoever may write the state Secret says so.
func TestWhoMayWriteTheStateReleasesItsTokenToAnotherOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	w.start()
	b := builtInNamed(t, "oauth2")
	b.create(w)
	w.awaitFresh(b.provider)
	good := w.look(b.provider).Spec.Parameters["tokenURL"]
	state := b.provider + v1alpha1.StateSecretSuffix
	w.changeSecret(state, func(s *corev1.Secret) {
		s.Data["origin"] = []byte(`{"refreshToken":{"refresh":"https://before.example"}}`)
	})
	w.edit(b.provider, func(c *v1alpha1.TokenCredential) { c.Spec.Parameters["tokenURL"] = good + "?moved" })
	w.refusedWith(b.provider, v1alpha1.ReauthorizationRequiredReason, w.calls(), "https://before.example", "https://"+simulator.DemoAuthHost)
	w.changeSecret(state, func(s *corev1.Secret) { delete(s.Data, "origin") })
	w.askForRefresh(b.provider, "moved")
	w.awaitRefreshes(b.provider, 2)
	w.awaitFresh(b.provider)
	if bound := w.state(b.provider, "origin"); !strings.Contains(bound, "https://"+simulator.DemoAuthHost) {
		t.Errorf("the state is not bound to the new origin: %s", bound)
	}
}

func TestATenantMakesACredentialAgainWithItsOwnURLOverAStateThatWasKept(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a credential made again, with another URL, over a state that was kept")
	w := newWorld(t, simulator.Hour)
	w.start()
	b := builtInNamed(t, "oauth2")
	b.create(w)
	w.awaitFresh(b.provider)
	calls, live := w.calls(), w.state(b.provider, "refresh_token")
	w.remove(b)
	b.create(w, func(spec *v1alpha1.TokenCredentialSpec) { spec.Parameters["tokenURL"] = elsewhere })
	w.refusedWith(b.provider, v1alpha1.ReauthorizationRequiredReason, calls, "https://"+simulator.DemoShopHost, "https://"+simulator.DemoAuthHost)
	if w.state(b.provider, "refresh_token") != live {
		t.Error("the live refresh token is lost")
	}
}
