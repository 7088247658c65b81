// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// helmRelease is the type of the Secrets in which Helm keeps what it has installed,
// with all values that were given to a chart.
const helmRelease corev1.SecretType = "helm.sh/release.v1"

// neverSent are the types of Secret that no provider is ever sent, and why. They hold
// what the cluster or a tool keeps for itself: none of them is an app's secret, a login
// or a seed.
var neverSent = map[corev1.SecretType]string{
	corev1.SecretTypeServiceAccountToken: "it opens this cluster's API server",
	corev1.SecretTypeBootstrapToken:      "it lets machines join this cluster",
	helmRelease:                          "it holds all that a Helm release was installed with",
	v1alpha1.StateSecretType:             "it holds the live refresh token of a credential",
	v1alpha1.DigestKeySecretType:         "it is the key of the operator's digests",
}

// IsNeverSent reports whether Secrets of a type are never sent to a provider, so that
// their values need not be kept either.
func IsNeverSent(kind corev1.SecretType) bool { return neverSent[kind] != "" }

// Input refuses a Secret that is never sent to a provider; field is that of the spec
// which names it.
func Input(field, name string, kind corev1.SecretType) *problem.Problem {
	why := neverSent[kind]
	if why == "" {
		return nil
	}
	return problem.New(v1alpha1.InvalidParametersReason,
		"the Secret %q of %s is of type %s, which is never sent to a provider, since %s: name another Secret", name, field, kind, why)
}

// InputName refuses the name of a state Secret, whatever is behind it: before it is
// read, and also while its credential is yet to come.
func InputName(field, name string) *problem.Problem {
	if !IsStateName(name) {
		return nil
	}
	return problem.New(v1alpha1.InvalidParametersReason,
		"%s names %q: a Secret whose name ends with %s holds the live refresh token of a credential and is never sent to a provider: name another Secret",
		field, name, v1alpha1.StateSecretSuffix)
}

// IsStateName reports whether a Secret of that name is, or may become, the state of a
// credential.
func IsStateName(name string) bool { return strings.HasSuffix(name, v1alpha1.StateSecretSuffix) }

// Certificate refuses a Secret that is not one of a certificate and its key: no other has
// its key shown to a provider's server, or put into an assertion.
func Certificate(field, name string, kind corev1.SecretType) *problem.Problem {
	if kind == corev1.SecretTypeTLS {
		return nil
	}
	return problem.New(v1alpha1.InvalidParametersReason,
		"the Secret %q of %s is of type %s: name one of type %s, with the keys %s and %s", name, field, kind, corev1.SecretTypeTLS, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
}
