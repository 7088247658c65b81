// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"cmp"
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lint"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Check checks all that the file holds, with the operator's own packages.
func (m *Manifest) Check(ctx context.Context) screen.Findings {
	var found screen.Findings
	for _, described := range m.providers {
		what := "ClusterTokenProvider " + described.Name
		compiled, err := compile.Provider(described.Name, described.Spec)
		if err != nil {
			found.Add(screen.Wrong, what, "%s", problem.OneLine(err))
			continue
		}
		found.Add(screen.Right, what, "it compiles")
		for _, warning := range lint.Warnings(compiled, described.Spec) {
			found.Add(screen.Doubtful, what, "%s", warning)
		}
	}
	for _, credential := range m.Credentials {
		m.check(ctx, credential, &found)
	}
	return found
}

// check checks one credential.
func (m *Manifest) check(ctx context.Context, credential *v1alpha1.TokenCredential, found *screen.Findings) {
	what := "TokenCredential " + credential.Name
	if err := m.DryRun(ctx, credential); err != nil {
		found.Add(screen.Wrong, what, "the API server does not take it: %s", err)
	} else {
		found.Add(screen.Right, what, "the API server takes it, and you may apply it")
	}
	in, err := m.Gather(ctx, credential)
	if err != nil {
		found.Add(screen.Wrong, what, "%s", problem.From(err).Message)
		m.checkReferences(ctx, credential, what, found)
		return
	}
	found.Add(screen.Right, what+", provider", "%s, and its parameters are as it wants them", in.Provider.Name)
	m.checkInputs(credential, in, what, found)
	m.checkTarget(ctx, credential, in, what, found)
}

// checkInputs looks whether there is something to start from.
func (m *Manifest) checkInputs(credential *v1alpha1.TokenCredential, in *inputs.Inputs, what string, found *screen.Findings) {
	for _, missing := range []*problem.Problem{in.AppMissing, in.SeedMissing, in.LoginMissing} {
		if missing == nil {
			continue
		}
		verdict := screen.Wrong
		if missing == in.LoginMissing && !in.Seed.IsZero() || missing == in.SeedMissing && in.CanLogin() {
			verdict = screen.Doubtful // the other suffices to start
		}
		found.Add(verdict, what+", Secrets", "%s", missing.Message)
	}
	if in.AppMissing == nil && (!in.Seed.IsZero() || in.CanLogin()) {
		found.Add(screen.Right, what+", Secrets", "%s", cmp.Or(strings.Join(named(credential), ", "), "none are needed"))
	}
}

// checkReferences looks for the Secrets and the keys that the credential itself names, where
// the provider does not say what is to be in them: all that must be mended is told at once.
func (m *Manifest) checkReferences(ctx context.Context, credential *v1alpha1.TokenCredential, what string, found *screen.Findings) {
	for _, reference := range inputs.References(credential) {
		held := &corev1.Secret{}
		err := m.Get(ctx, types.NamespacedName{Namespace: credential.Namespace, Name: reference.Name}, held)
		if apierrors.IsNotFound(err) {
			found.Add(screen.Wrong, what+", Secrets", "the Secret %q of %s does not exist: create it", reference.Name, reference.Field)
		}
		for _, key := range reference.Keys {
			if _, present := held.Data[key]; err == nil && !present {
				found.Add(screen.Wrong, what+", Secrets", "the Secret %q of %s has no key %q: add it", reference.Name, reference.Field, key)
			}
		}
	}
}

func named(credential *v1alpha1.TokenCredential) []string {
	var names []string
	for _, reference := range inputs.References(credential) {
		names = append(names, reference.Name)
	}
	return names
}

// checkTarget renders the target with a made-up token, and looks whether it may be written.
func (m *Manifest) checkTarget(ctx context.Context, credential *v1alpha1.TokenCredential, in *inputs.Inputs, what string, found *screen.Findings) {
	what += ", target"
	template, err := render.NewCompiler().Compile(ctx, credential.Namespace, credential.Spec.Target, in.Provider.Outputs, in.Parameters)
	if err != nil {
		found.Add(screen.Wrong, what, "%s", problem.From(err).Message)
		return
	}
	now := time.Unix(0, 0).UTC()
	rendered := template.Try("made-up-token", "made-up-output", token.Validity{IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
	var keys, left []string
	for _, key := range template.Keys() {
		if _, ok := rendered[key]; ok {
			keys = append(keys, key)
		} else {
			left = append(left, key)
		}
	}
	if len(left) > 0 {
		found.Add(screen.Doubtful, what, "a made-up token gives nothing for %s", strings.Join(left, ", "))
	}
	publisher := &target.Publisher{Client: m.cluster.Client}
	existing := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
	err = m.cluster.Get(ctx, types.NamespacedName{Namespace: credential.Namespace, Name: credential.TargetName()}, existing)
	if apierrors.IsNotFound(err) {
		existing = nil
	}
	if _, err := publisher.Inspect(ctx, credential, template, existing, ""); err != nil {
		found.Add(screen.Wrong, what, "%s", problem.From(err).Message)
		return
	}
	found.Add(screen.Right, what, "the Secret %s will hold %s", credential.TargetName(), strings.Join(keys, ", "))
}
