// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// inputs are what the user's Secrets hold for a credential.
type inputs struct {
	appKey, appSecret secret.Text
	// appMissing says why there is no app although the provider needs one.
	appMissing *problem
	// seed is the user's refresh token; zero where there is none.
	seed secret.Text
	// seedMissing says why there is no seed although one is referenced.
	seedMissing *problem
	login       map[string]secret.Text
	// loginMissing says why login is not possible although it is referenced.
	loginMissing *problem
	// versions of the Secrets by the field that refers to them.
	versions map[string]string
	// digest of the versions of the provider and of the Secrets.
	digest string
}

// reference is a Secret that a credential refers to.
type reference struct {
	field string
	name  string
}

// Fields of the spec that refer to Secrets.
const (
	appField   = "spec.appSecretRef"
	seedField  = "spec.refreshTokenSecretRef"
	loginField = "spec.loginSecretRef"
)

// references lists the Secrets that a credential refers to, in a fixed order.
func references(credential *v1alpha1.TokenCredential) []reference {
	var all []reference
	if ref := credential.Spec.AppSecretRef; ref != nil {
		all = append(all, reference{appField, string(ref.Name)})
	}
	if ref := credential.Spec.RefreshTokenSecretRef; ref != nil {
		all = append(all, reference{seedField, string(ref.Name)})
	}
	if ref := credential.Spec.LoginSecretRef; ref != nil {
		all = append(all, reference{loginField, string(ref.Name)})
	}
	return all
}

// inputsDigest names the versions of a provider and of the Secrets referred to.
func inputsDigest(provider string, versions []string) string {
	sum := sha256.Sum256([]byte(provider + "\n" + strings.Join(versions, "\n")))
	return hex.EncodeToString(sum[:8])
}

// gatherer reads a credential's inputs.
type gatherer struct {
	secrets    *Secrets
	credential *v1alpha1.TokenCredential
	provider   found
}

// gather reads what the provider needs. What is missing is told in the inputs,
// since it matters only where it is needed.
func (g *gatherer) gather(ctx context.Context) (*inputs, error) {
	read := map[string]*corev1.Secret{}
	in := &inputs{versions: map[string]string{}}
	for _, ref := range references(g.credential) {
		found, err := g.secrets.get(ctx, types.NamespacedName{Namespace: g.credential.Namespace, Name: ref.name})
		if err != nil {
			return nil, err
		}
		read[ref.field] = found
		in.versions[ref.field] = absent
		if found != nil {
			in.versions[ref.field] = found.ResourceVersion
		}
	}
	in.sum(g.provider, g.credential)
	in.readSeed(g.credential.Spec.RefreshTokenSecretRef, read[seedField], g.provider)
	in.readLogin(g.credential.Spec.LoginSecretRef, read[loginField], g.provider)
	in.appMissing = in.readApp(g.credential.Spec.AppSecretRef, read[appField], g.provider)
	return in, nil
}

// sum takes the digest of what was read.
func (in *inputs) sum(provider found, credential *v1alpha1.TokenCredential) {
	var versions []string
	for _, ref := range references(credential) {
		versions = append(versions, in.versions[ref.field])
	}
	in.digest = inputsDigest(provider.version, versions)
}

func (in *inputs) readApp(ref *v1alpha1.AppSecretReference, from *corev1.Secret, p found) *problem {
	switch {
	case p.App == v1alpha1.None, ref == nil && p.App == v1alpha1.Optional:
		return nil
	case ref == nil:
		return problemf(v1alpha1.InvalidParametersReason,
			"the provider %s needs an app: set spec.appSecretRef to a Secret with the app's key and secret", p.Name)
	case from == nil:
		return secretNotFound(appField, string(ref.Name))
	}
	key, secretKey := orDefault(ref.KeyField, "app_key"), orDefault(ref.SecretField, "app_secret")
	var missing *problem
	if in.appKey, missing = value(from, key, "spec.appSecretRef.keyField"); missing != nil {
		return missing
	}
	// A public client has no secret: an empty one is its user's word for it.
	appSecret, present := from.Data[secretKey]
	if !present {
		return keyMissing(from, secretKey, "spec.appSecretRef.secretField")
	}
	in.appSecret = trimmed(appSecret)
	return nil
}

func (in *inputs) readSeed(ref *v1alpha1.RefreshTokenSecretReference, from *corev1.Secret, p found) {
	switch {
	case ref == nil, p.RefreshToken == v1alpha1.None:
	case from == nil:
		in.seedMissing = secretNotFound(seedField, string(ref.Name))
	default:
		_, in.seedMissing = value(from, orDefault(ref.Key, "refresh_token"), "spec.refreshTokenSecretRef.key")
		in.seed = seedIn(from, ref)
	}
}

func (in *inputs) readLogin(ref *v1alpha1.LoginSecretReference, from *corev1.Secret, p found) {
	switch {
	case p.Login == nil, len(p.LoginKeys) == 0:
		return
	case ref == nil:
		in.loginMissing = problemf(v1alpha1.InvalidParametersReason,
			"the provider %s can log in: set spec.loginSecretRef to a Secret with the keys %s", p.Name, strings.Join(p.LoginKeys, ", "))
		return
	case from == nil:
		in.loginMissing = secretNotFound(loginField, string(ref.Name))
		return
	}
	in.login = map[string]secret.Text{}
	for _, key := range p.LoginKeys {
		if in.login[key], in.loginMissing = value(from, key, loginField); in.loginMissing != nil {
			return
		}
	}
}

// value of a key that must be there and not be empty.
func value(from *corev1.Secret, key, field string) (secret.Text, *problem) {
	text := trimmed(from.Data[key])
	if text.IsZero() {
		return secret.Text{}, keyMissing(from, key, field)
	}
	return text, nil
}

// seedIn is the refresh token that a Secret holds, as a credential refers to it.
func seedIn(from *corev1.Secret, ref *v1alpha1.RefreshTokenSecretReference) secret.Text {
	token := trimmed(from.Data[orDefault(ref.Key, "refresh_token")])
	return secret.New(strings.TrimSpace(token.Reveal())) // no token begins or ends so
}

// trimmed drops the line feed that an editor or echo leaves at the end of a
// file; no key or token ends in one.
func trimmed(value []byte) secret.Text { return secret.New(strings.TrimRight(string(value), "\r\n")) }

func secretNotFound(field, name string) *problem {
	return problemf(v1alpha1.SecretNotFoundReason, "the Secret %q of %s does not exist: create it", name, field)
}

func keyMissing(from *corev1.Secret, key, field string) *problem {
	return problemf(v1alpha1.SecretKeyMissingReason, "the Secret %q has no value under the key %q (%s): add it", from.Name, key, field)
}

func orDefault(key v1alpha1.SecretKey, fallback string) string {
	if key == "" {
		return fallback
	}
	return string(key)
}

// request is what the provider's expressions see.
func (in *inputs) request(refreshToken, accessToken secret.Text, parameters map[string]string, outputs map[string]any) provider.Inputs {
	return provider.Inputs{
		AppKey:       in.appKey,
		AppSecret:    in.appSecret,
		RefreshToken: refreshToken,
		AccessToken:  accessToken,
		Login:        in.login,
		Parameters:   parameters,
		Outputs:      outputs,
	}
}
