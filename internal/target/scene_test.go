// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// key of the digests of all tests here.
var key = digest.Random()

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var site = map[string]string{"site": "shop.example.com"}

func granted() token.Token {
	return token.Token{
		AccessToken: secret.New("the-token"),
		Type:        "mac",
		Validity:    token.Validity{IssuedAt: noon.Add(-time.Hour), ExpiresAt: noon},
		Outputs:     map[string]any{"scope": "1 3", "openId": int64(9007199254740993)},
	}
}

func templated(data map[string]string) v1alpha1.Target {
	return v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Type: "Opaque", Data: data}}
}

// compiled is a template over the output scope and the parameter site.
func compiled(t *testing.T, spec v1alpha1.Target) *render.Template {
	t.Helper()
	template, err := render.NewCompiler().Compile(t.Context(), "team", spec, []string{"scope"}, site)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// scene is a credential, its template, and an API server that is a fake: it knows
// server-side apply and managedFields, and neither admission nor dry runs.
type scene struct {
	*testing.T
	*Publisher
	calls      map[string]int // by verb
	fail       func(verb string) error
	credential *v1alpha1.TokenCredential
	template   *render.Template
}

func newScene(t *testing.T, spec v1alpha1.Target, secrets ...client.Object) *scene {
	t.Helper()
	s := &scene{T: t, calls: map[string]int{}, fail: func(string) error { return nil }}
	s.credential = &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop", UID: "uid-1", Generation: 1}}
	s.credential.Spec.Target = spec
	s.template = compiled(t, spec)
	do := func(verb string, act func() error) error {
		s.calls[verb]++
		if err := s.fail(verb); err != nil {
			return err
		}
		return act()
	}
	s.Publisher = &Publisher{Key: key, Client: fake.NewClientBuilder().WithObjects(secrets...).WithReturnManagedFields().
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				return do("get", func() error { return c.Get(ctx, key, object, options...) })
			},
			Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
				return do("create", func() error { return c.Create(ctx, object, options...) })
			},
			Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
				return do("update", func() error { return c.Update(ctx, object, options...) })
			},
			Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
				return do("patch", func() error { return c.Patch(ctx, object, patch, options...) })
			},
		}).Build()}
	return s
}

// retemplate gives the credential another template.
func (s *scene) retemplate(spec v1alpha1.Target) {
	s.Helper()
	s.credential.Spec.Target, s.template = spec, compiled(s.T, spec)
}

// publish writes the token, and returns what was written.
func (s *scene) publish(view View) View {
	s.Helper()
	return s.publishToken(view, granted())
}

// publishText writes another token over what is there.
func (s *scene) publishText(text string) {
	s.Helper()
	other := granted()
	other.AccessToken = secret.New(text)
	s.publishToken(s.inspect("another"), other)
}

func (s *scene) publishToken(view View, granted token.Token) View {
	s.Helper()
	content, err := s.template.Render(granted, site)
	if err != nil {
		s.Fatal(err)
	}
	written, err := s.Publish(s.Context(), s.credential, s.template, view, content, Mark{Validity: valid(), Source: "ab12"})
	if err != nil {
		s.Fatal(err)
	}
	return written
}

// live is the Secret as it is now. It is read past the count of calls.
func (s *scene) live() *corev1.Secret {
	s.Helper()
	secret := &corev1.Secret{}
	if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: "team", Name: "shop"}, secret); err != nil {
		s.Fatal(err)
	}
	s.calls["get"]--
	return secret
}

// change has another writer change the Secret.
func (s *scene) change(manager string, change func(*corev1.Secret)) {
	s.Helper()
	secret := s.live()
	change(secret)
	if err := s.Client.Update(s.Context(), secret, client.FieldOwner(manager)); err != nil {
		s.Fatal(err)
	}
	s.calls["update"]--
}

// cached is what the metadata cache has of the Secret.
func (s *scene) cached() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: s.live().ObjectMeta}
}

// inspect looks at the target with a cache that is up to date.
func (s *scene) inspect(known string) View {
	s.Helper()
	view, err := s.Inspect(s.Context(), s.credential, s.template, s.cached(), known)
	if err != nil {
		s.Fatal(err)
	}
	return view
}

func labelled(policy v1alpha1.CreationPolicy, labels map[string]string) v1alpha1.Target {
	return v1alpha1.Target{CreationPolicy: policy, Template: &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Labels: labels}}}
}

// someones is a Secret that a user made, with a key, a label and an annotation.
func someones() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: "shop", UID: "secret-1",
			Labels: map[string]string{"team": "a"}, Annotations: map[string]string{"note": "b"}, Finalizers: []string{"example.com/keep"},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{"other": []byte("x")},
	}
}

// stateOf is what a test compares of a view.
type stateOf struct{ Exists, Holds, Rendered, Dressed bool }

func state(view View) stateOf { return stateOf{view.Exists, view.Holds, view.Rendered, view.Dressed} }
