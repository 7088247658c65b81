// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/guard"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Inputs are what a credential is renewed with, as read at one moment.
type Inputs struct {
	Provider   Provider
	Parameters map[string]string
	// Source is a digest of the provider and its parameters: what tokens are
	// asked from.
	Source string

	AppKey, AppSecret secret.Text
	// AppMissing says why there is no app although the provider needs one.
	AppMissing *problem.Problem
	// Seed is the user's refresh token; zero where there is none.
	Seed secret.Text
	// SeedMissing says why there is no seed although one is referenced.
	SeedMissing *problem.Problem
	// SeedIsLive is true where the seed was read from the API server for these inputs alone.
	SeedIsLive bool
	// SeedVersion is the resourceVersion of the Secret that the seed is from;
	// empty where there is none.
	SeedVersion string
	// SeedUnwritable says what forbids to write that Secret, such as "is immutable";
	// empty: nothing does.
	SeedUnwritable string
	Login          map[string]secret.Text
	// LoginMissing says why login is not possible although the provider has it.
	LoginMissing *problem.Problem
	// Certificate is what the connection to the provider shows; nil: none.
	Certificate       *Certificate
	certificateSecret string
	// ServiceAccountToken is what ForCall has made.
	ServiceAccountToken secret.Text
	// missing says what else is missing, or cannot be used, that the provider needs.
	missing *problem.Problem

	// Digest names the versions of the provider and of the Secrets, and what the
	// credential asks of them.
	Digest string
}

// SingleUse reports whether the live refresh token of a state works once, as far as is
// known. Nothing else decides that.
func (in *Inputs) SingleUse(state rotation.State) bool {
	switch mode := in.Provider.Rotation.Mode; {
	case in.Provider.Refresh == nil, mode == v1alpha1.Reusable:
		return false
	case mode == v1alpha1.Auto:
		return !state.Proven()
	}
	return true
}

// KeepsAccessToken reports whether a state holds the access token: where asking
// again would spend something, or where a request builds on the last reply.
func (in *Inputs) KeepsAccessToken(state rotation.State) bool {
	return in.SingleUse(state) || in.Provider.RemembersReply
}

// Missing says what no call can be made without: the app, a client certificate that is
// good, a service account, or a login that calls use which are none.
func (in *Inputs) Missing(now time.Time) *problem.Problem {
	for _, missing := range []*problem.Problem{in.AppMissing, in.missing, in.expired(now)} {
		if missing != nil {
			return missing
		}
	}
	if in.Provider.NeedsLogin {
		return in.LoginMissing
	}
	return nil
}

// CanLogin reports whether a first token can be had without a refresh token.
func (in *Inputs) CanLogin() bool { return in.Provider.Login != nil && in.LoginMissing == nil }

// Request is what the provider's expressions see.
func (in *Inputs) Request(refreshToken, accessToken secret.Text, outputs map[string]any) provider.Inputs {
	request := provider.Inputs{
		AppKey:              in.AppKey,
		AppSecret:           in.AppSecret,
		RefreshToken:        refreshToken,
		AccessToken:         accessToken,
		Login:               in.Login,
		Parameters:          in.Parameters,
		Outputs:             outputs,
		ServiceAccountToken: in.ServiceAccountToken,
	}
	if in.Certificate != nil {
		request.ClientCertificate, request.ClientKey = in.Certificate.Chain, in.Certificate.Key
	}
	return request
}

// Gatherer reads inputs.
type Gatherer struct {
	Catalog         *Catalog
	Secrets         *Secrets
	ServiceAccounts *ServiceAccounts
}

// Gather reads a credential's inputs. It fails with a *problem.Problem where
// nothing can be done without what is wrong; a Secret that is missing is told in
// the inputs, since it matters only where it is needed.
func (g *Gatherer) Gather(ctx context.Context, credential *v1alpha1.TokenCredential) (*Inputs, error) {
	found, err := g.Catalog.Find(ctx, credential)
	if err != nil {
		return nil, err
	}
	if field := unreadableDuration(credential.Spec.Renewal); field != "" {
		return nil, problem.New(v1alpha1.InvalidParametersReason, "spec.renewal.%s is no duration: write one such as 90s, 5m or 1h30m", field)
	}
	parameters, err := found.Parameters(credential.Spec.Parameters)
	if err != nil {
		return nil, problem.New(v1alpha1.InvalidParametersReason, "%s", problem.OneLine(err))
	}
	in := &Inputs{Provider: found, Parameters: parameters, Source: SourceOf(credential.Spec.ProviderRef, parameters)}
	read, live, versions, err := g.read(ctx, credential, found)
	if err != nil {
		return nil, err
	}
	in.Digest = digest(found.Edition, versions, credential)
	in.AppMissing = in.readApp(credential.Spec.AppSecretRef, read[appField])
	in.readSeed(credential.Spec.RefreshTokenSecretRef, read[seedField])
	in.SeedIsLive = live[seedField]
	in.readLogin(credential.Spec.LoginSecretRef, read[loginField])
	in.missing = cmp.Or(in.readCertificate(credential.Spec.ClientCertificateSecretRef, read[certificateField]), in.missingServiceAccount(credential))
	return in, nil
}

// unreadableDuration is the field of a renewal that is no duration; empty: none.
func unreadableDuration(renewal v1alpha1.Renewal) string {
	switch {
	case renewal.Before.IsUnreadable():
		return "before"
	case renewal.AtLeastEvery.IsUnreadable():
		return "atLeastEvery"
	}
	return ""
}

// read reads the Secrets that a credential refers to, by the field that does: the keys
// alone that are used. It says which of them it did not take from a cache, or from a read
// that others have begun.
func (g *Gatherer) read(ctx context.Context, credential *v1alpha1.TokenCredential, from Provider) (read map[string]*Values, live map[string]bool, versions []string, err error) {
	read, live = map[string]*Values{}, map[string]bool{}
	for _, ref := range References(credential) {
		if refusal := guard.InputName(ref.Field, ref.Name); refusal != nil {
			return nil, nil, nil, refusal
		}
		found, isLive, err := g.Secrets.Get(ctx, types.NamespacedName{Namespace: credential.Namespace, Name: ref.Name}, ref.keys(from)...)
		if err != nil {
			return nil, nil, nil, problem.Reading(err, fmt.Sprintf("the Secret %q of %s", ref.Name, ref.Field))
		}
		if refusal := refused(ref.Field, found); refusal != nil {
			return nil, nil, nil, refusal
		}
		version := Absent
		if found != nil {
			version = found.Version
		}
		read[ref.Field], live[ref.Field], versions = found, isLive, append(versions, version)
	}
	return read, live, versions, nil
}

// CachedDigest is the digest that Gather would give by the cache, where the
// provider can be found.
func (g *Gatherer) CachedDigest(ctx context.Context, credential *v1alpha1.TokenCredential) (string, error) {
	found, err := g.Catalog.Find(ctx, credential)
	if err != nil {
		return "", err
	}
	var versions []string
	for _, ref := range References(credential) {
		version, err := g.Secrets.Version(ctx, types.NamespacedName{Namespace: credential.Namespace, Name: ref.Name})
		if err != nil {
			return "", err
		}
		versions = append(versions, version)
	}
	return digest(found.Edition, versions, credential), nil
}

// LiveSeed reads the user's refresh token past every cache; zero where there is
// none.
func (g *Gatherer) LiveSeed(ctx context.Context, credential *v1alpha1.TokenCredential) (secret.Text, error) {
	ref := credential.Spec.RefreshTokenSecretRef
	if ref == nil {
		return secret.Text{}, nil
	}
	live, err := g.Secrets.GetLive(ctx, types.NamespacedName{Namespace: credential.Namespace, Name: string(ref.Name)}, SeedKey(ref))
	if err != nil {
		return secret.Text{}, problem.Reading(err, fmt.Sprintf("the Secret %q of %s", ref.Name, seedField))
	}
	if live == nil {
		return secret.Text{}, nil
	}
	if refusal := refused(seedField, live); refusal != nil {
		return secret.Text{}, refusal
	}
	return seedIn(live, ref), nil
}

// refused says why a Secret that was read is never sent; nil where it may be, and where
// there is none.
func refused(field string, found *Values) *problem.Problem {
	if found == nil {
		return nil
	}
	return guard.Input(field, found.Name, found.Type)
}

// SourceOf names what tokens are asked from: the provider and its parameters.
func SourceOf(ref v1alpha1.ProviderReference, parameters map[string]string) string {
	kind := cmp.Or(ref.Kind, v1alpha1.BuiltInProvider)
	encoded, err := json.Marshal([]any{kind, ref.Name, parameters})
	if err != nil { // Strings and maps of strings always encode.
		return ""
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}

// digest names all that an attempt is made with: the versions of the provider and of the
// Secrets, and what the credential asks of them. When it changes, what an attempt
// failed for may have been mended; the rest of the spec mends nothing.
func digest(edition string, versions []string, credential *v1alpha1.TokenCredential) string {
	spec := credential.Spec
	asked := []any{edition, versions, spec.Parameters, spec.AppSecretRef, spec.LoginSecretRef, spec.OnUnknownOutcome}
	if ref := spec.RefreshTokenSecretRef; ref != nil {
		asked = append(asked, ref.Name, ref.Key)
	}
	if ref := spec.ClientCertificateSecretRef; ref != nil {
		asked = append(asked, certificateField, ref.Name)
	}
	if name := spec.ServiceAccountName; name != "" {
		asked = append(asked, serviceAccountField, name)
	}
	encoded, err := json.Marshal(asked)
	if err != nil { // Strings and maps of strings always encode.
		return ""
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}
