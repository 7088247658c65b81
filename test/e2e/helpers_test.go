// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// patience is how long something may take that takes some seconds on an idle machine: a
// busy one is no failure.
const patience = 4 * time.Minute

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// background outlives the test's own context, for what is cleaned up after it.
func background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Minute)
}

func ordinal(index int) string { return strconv.Itoa(index + 1) }

// eventually asks until there is no error; the last one says what was lacking.
func eventually(t *testing.T, limit time.Duration, what string, ask func() error) {
	t.Helper()
	started := time.Now()
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Since(started) > limit {
			t.Fatalf("within %s it does not come about that %s: %v", limit, what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// newNamespace makes one, and removes it after the test.
func newNamespace(t *testing.T, name string) {
	t.Helper()
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	eventually(t, patience, "there is a namespace "+name, func() error { return env.Create(t.Context(), made.DeepCopy()) })
	t.Cleanup(func() { removeNamespace(t, name) })
}

// removeNamespace waits until it has gone.
func removeNamespace(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := background()
	defer cancel()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := client.IgnoreNotFound(env.Delete(ctx, object)); err != nil {
		t.Error(err)
	}
	eventually(t, patience, "namespace "+name+" has gone", func() error {
		err := env.Get(ctx, client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(fmt.Errorf("it is %s: %v", object.Status.Phase, object.Status.Conditions), err)
	})
}

// newCredential makes one on a new single-use grant of the OAuth server, with its Secrets.
// Its grant's identifier is namespace/name.
func newCredential(t *testing.T, namespace, name string, change ...func(*v1alpha1.TokenCredential)) *v1alpha1.TokenCredential {
	t.Helper()
	seed(t, namespace, name)
	app := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}, StringData: map[string]string{
		"app_key": simulator.DemoOAuthClientID, "app_secret": simulator.DemoOAuthClientSecret}}
	if err := env.Create(t.Context(), app); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	made := credential(namespace, name)
	for _, each := range change {
		each(made)
	}
	// Its CRD may be some moments old, and the policy that guards it too.
	eventually(t, patience, "the API server takes a TokenCredential", func() error { return env.Create(t.Context(), made) })
	return made
}

func credential(namespace, name string) *v1alpha1.TokenCredential {
	made := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	made.Spec.ProviderRef.Name = "oauth2"
	made.Spec.Parameters = map[string]string{"tokenURL": simulator.DemoOAuthTokenURL}
	made.Spec.AppSecretRef = &v1alpha1.AppSecretReference{Name: "app"}
	made.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: v1alpha1.SecretName(name + "-seed")}
	made.Spec.Target.Name = v1alpha1.SecretName(name + "-token")
	return made
}

// seed makes a grant, and the Secret with its first refresh token. A grant of that name
// from before is left as it is: the new one has a number.
func seed(t *testing.T, namespace, name string) simulator.Grant {
	t.Helper()
	id := namespace + "/" + name
	for n := 2; ; n++ {
		if _, exists := env.simulator.Grant(id); !exists {
			break
		}
		id = fmt.Sprintf("%s/%s#%d", namespace, name, n)
	}
	grant := newGrant(t, id)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-seed"},
		StringData: map[string]string{"refresh_token": grant.RefreshToken}}
	if err := env.Create(t.Context(), secret); apierrors.IsAlreadyExists(err) {
		must(t, env.Update(t.Context(), secret))
	} else {
		must(t, err)
	}
	return grant
}

// newGrant is one of the OAuth server, with its first refresh token.
func newGrant(t *testing.T, id string) simulator.Grant {
	t.Helper()
	grants, err := env.simulator.Add(simulator.Seed{Grants: []simulator.Grant{{
		ID: id, Vendor: simulator.OAuth, App: simulator.DemoOAuthClientID, Scope: simulator.DemoOAuthScope}}})
	must(t, err)
	return grants[0]
}

// get reads a credential.
func get(t *testing.T, namespace, name string) *v1alpha1.TokenCredential {
	t.Helper()
	found := &v1alpha1.TokenCredential{}
	must(t, env.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found))
	return found
}

// awaitReady waits until a credential is ready, and what more is asked holds.
func awaitReady(t *testing.T, namespace, name string, more ...func(*v1alpha1.TokenCredential) error) {
	t.Helper()
	eventually(t, patience, namespace+"/"+name+" is ready", func() error {
		found := &v1alpha1.TokenCredential{}
		if err := env.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ReadyCondition) {
			return fmt.Errorf("its conditions are %s", conditions(found))
		}
		for _, each := range more {
			if err := each(found); err != nil {
				return err
			}
		}
		return nil
	})
}

func conditions(of *v1alpha1.TokenCredential) string {
	text := ""
	for _, each := range of.Status.Conditions {
		text += fmt.Sprintf("\n%s %s %s: %s", each.Type, each.Status, each.Reason, each.Message)
	}
	return text
}

// refreshedMoreThan asks for another token than the first ones.
func refreshedMoreThan(count int64) func(*v1alpha1.TokenCredential) error {
	return func(found *v1alpha1.TokenCredential) error {
		if found.Status.RefreshCount > count {
			return nil
		}
		return fmt.Errorf("%d tokens have been obtained, not more than %d", found.Status.RefreshCount, count)
	}
}

// secret reads one; nil where there is none.
func secret(t *testing.T, namespace, name string) *corev1.Secret {
	t.Helper()
	found := &corev1.Secret{}
	err := env.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found)
	if apierrors.IsNotFound(err) {
		return nil
	}
	must(t, err)
	return found
}

// holdsCurrentToken checks that the state holds the refresh token that the provider goes
// by, and the target an access token that it takes.
func holdsCurrentToken(t *testing.T, namespace, name string) error {
	t.Helper()
	state, target := secret(t, namespace, name+"-token-state"), secret(t, namespace, name+"-token")
	switch {
	case state == nil:
		return errors.New("there is no state")
	case target == nil:
		return errors.New("there is no target")
	}
	grant, ok := env.simulator.GrantOf(string(state.Data["refresh_token"]))
	switch {
	case !ok || grant.Current != string(state.Data["refresh_token"]):
		return errors.New("the state does not hold the provider's current refresh token")
	case !env.simulator.AccessTokenValid(string(target.Data["access_token"])):
		return errors.New("the target does not hold an access token that the provider takes")
	}
	return nil
}

// lifetime sets how long access tokens live, for one test.
func lifetime(t *testing.T, of time.Duration) {
	t.Helper()
	before := env.simulator.Options().OAuth.AccessTokenLifetime
	set := func(d simulator.Duration) {
		env.simulator.Configure(func(o *simulator.Options) { o.OAuth.AccessTokenLifetime = d })
	}
	set(simulator.Duration(of))
	t.Cleanup(func() { set(before) })
}
