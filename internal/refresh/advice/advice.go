// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package advice says what a renewal's outcome means for a person: the likeliest cause, and
// the next step. It decides nothing, and quotes no secret.
package advice

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Case is the credential that is spoken of, and what is known of it.
type Case struct {
	Credential *v1alpha1.TokenCredential
	Inputs     *inputs.Inputs
	State      rotation.State
	// Login is true where it is a login that the provider answered.
	Login bool
}

// Of gives what a reason means for the person who reads it: the likeliest cause, and the
// next. The provider's own words stand behind it.
func Of(of Case, reason, words string) string {
	next := map[string]string{
		v1alpha1.ReauthorizationRequiredReason: notAccepted(of),
		v1alpha1.AppRejectedReason:             "client authentication failed: correct " + clientSecrets(of) + "; where these are right, check how they are sent (spec.parameters)",
		v1alpha1.RequestRejectedReason:         "the provider refuses the request, or its reply holds no usable access token: " + refusedRequest(of) + "; it is tried again",
		v1alpha1.RateLimitedReason:             "the provider asks for fewer calls; it is tried again later",
		v1alpha1.ProviderUnavailableReason:     "the provider cannot serve now; it is tried again",
	}[reason]
	if next == "" {
		return words
	}
	return strings.TrimSuffix(next+" ("+words+")", " ()")
}

// Missing says all that the user's Secrets lack for a call: what every call needs, and what
// there is to start from, where that is missing too. nil: nothing that every call needs.
func Missing(of Case, now time.Time) *problem.Problem {
	in := of.Inputs
	missing := in.Missing(now)
	if missing == nil || in.CanLogin() || !in.Seed.IsZero() || !of.State.RefreshToken.IsZero() {
		return missing
	}
	return missing.And(NothingToStartFrom(of))
}

// notAccepted says what to do where the provider gives no more tokens for what was sent.
func notAccepted(of Case) string {
	switch {
	case !of.Login:
		return "the provider no longer accepts the refresh token: " + reauthorize(of.Credential) + refusedAtOnce(of)
	case of.Credential.Spec.RefreshTokenSecretRef != nil:
		return "the provider does not accept the login: correct " + clientSecrets(of) + "; or " + reauthorize(of.Credential)
	default:
		return "the provider does not accept the login: correct " + clientSecrets(of) + ", or have the access granted again at the provider"
	}
}

// refusedAtOnce is what else it can be that a refresh token is refused which nobody has used.
func refusedAtOnce(of Case) string {
	if !of.State.Untried() {
		return ""
	}
	return "; where it is new, see whether it was issued to this app and at the provider that spec names, and is the whole value"
}

// refusedRequest is what a request is refused for, the likeliest first.
func refusedRequest(of Case) string {
	if len(of.Inputs.Parameters) == 0 {
		return "see what the provider says of it, then check the app's registration there and the provider's description"
	}
	return fmt.Sprintf("see what the provider says of it, then check spec.parameters (%s), the app's registration at the provider and the provider's description",
		strings.Join(slices.Sorted(maps.Keys(of.Inputs.Parameters)), ", "))
}

// NothingToStartFrom says what a credential without a refresh token and without
// a login needs.
func NothingToStartFrom(of Case) *problem.Problem {
	in, spec := of.Inputs, of.Credential.Spec
	switch missing := in.SeedMissing; {
	case spec.LoginSecretRef != nil && in.LoginMissing != nil:
		return missing.And(in.LoginMissing) // either of them is enough
	case missing != nil:
		return missing
	case in.Provider.Login != nil:
		return problem.New(v1alpha1.InvalidParametersReason,
			"the credential has nothing to start from: set spec.refreshTokenSecretRef, or spec.loginSecretRef with what the provider %s needs to log in", in.Provider.Name)
	default:
		return problem.New(v1alpha1.InvalidParametersReason,
			"the provider %s needs a refresh token: set spec.refreshTokenSecretRef", in.Provider.Name)
	}
}

// reauthorize is the step that brings a new refresh token.
func reauthorize(credential *v1alpha1.TokenCredential) string {
	ref := credential.Spec.RefreshTokenSecretRef
	if ref == nil {
		return "authorize again, put the new refresh token into a Secret, and name it in spec.refreshTokenSecretRef"
	}
	return fmt.Sprintf("authorize again and put the new refresh token into the Secret of spec.refreshTokenSecretRef (%q, key %q)%s", ref.Name, inputs.SeedKey(ref), byCommand(credential))
}

// byCommand names the command that does both, where nobody has to read it twice: names can
// be so long that the rest of a message would have no room.
func byCommand(credential *v1alpha1.TokenCredential) string {
	command := fmt.Sprintf(", such as by kubectl tokencredential login %s -n %s --reauthorize", credential.Name, credential.Namespace)
	if len(command) > maxCommand {
		return ""
	}
	return command
}

// maxCommand leaves the rest of a message, of at most 1 KiB, its room.
const maxCommand = 200

// clientSecrets names the Secrets with which the provider authenticates its client.
func clientSecrets(of Case) string {
	var secrets []string
	spec, in := of.Credential.Spec, of.Inputs
	if ref := spec.AppSecretRef; ref != nil && in.Provider.App != v1alpha1.None {
		secrets = append(secrets, fmt.Sprintf("the app's key and secret in the Secret of spec.appSecretRef (%q)", ref.Name))
	}
	if ref := spec.LoginSecretRef; ref != nil && len(in.Provider.LoginKeys) > 0 {
		secrets = append(secrets, fmt.Sprintf("the login in the Secret of spec.loginSecretRef (%q)", ref.Name))
	}
	if ref := spec.ClientCertificateSecretRef; ref != nil && in.Certificate != nil {
		secrets = append(secrets, fmt.Sprintf("the client certificate in the Secret of spec.clientCertificateSecretRef (%q)", ref.Name))
	}
	if len(secrets) == 0 {
		return "spec.parameters and what they name"
	}
	return strings.Join(secrets, ", or ")
}

// Unknown says that a token was sent and that it is not known whether it was spent;
// words are what came in place of a clear answer, where that is known.
func Unknown(credential *v1alpha1.TokenCredential, attempt *rotation.Attempt, words string) *problem.Problem {
	otherWay := ", or set spec.onUnknownOutcome to RetryOnce to send it once more"
	if attempt.Resend {
		otherWay = " (it was sent once more already)"
	}
	if words != "" {
		words = " (" + words + ")"
	}
	return problem.New(v1alpha1.OutcomeUnknownReason,
		"the refresh token was sent at %s and no clear answer came%s, so it may be spent: %s%s",
		rfc3339(attempt.Started), words, reauthorize(credential), otherWay)
}

// ProvenRefused says that a token which the provider had left as it was is not accepted
// any more. It had no claim, so whether an answer to it was lost is not known.
func ProvenRefused(credential *v1alpha1.TokenCredential, words string) string {
	return fmt.Sprintf("the provider no longer accepts the refresh token, which it had accepted before and left as it was: "+
		"it has expired or was revoked, or the provider has begun to rotate refresh tokens, and either its last answer with the new one was lost, "+
		"or another TokenCredential that began with the same token has the new one (then each needs a grant of its own): %s (%s)",
		reauthorize(credential), words)
}

// Lost says that the refresh token is spent and that its successor is nowhere.
func Lost(credential *v1alpha1.TokenCredential) *problem.Problem {
	return problem.New(v1alpha1.RotatedTokenLostReason,
		"the refresh token was spent and its successor is lost (it never arrived, or its state Secret was deleted): %s", reauthorize(credential))
}

// Abandoned says that a credential was deleted while its rotated token could not be
// saved, and that this is not tried any more.
func Abandoned(credential *v1alpha1.TokenCredential, refusal error) *problem.Problem {
	return problem.New(v1alpha1.RotatedTokenLostReason,
		"the credential was deleted while its rotated refresh token could not be saved in the Secret %q (%s), so that token is lost: before you make the credential again, %s",
		credential.StateSecretName(), problem.OneLine(refusal), reauthorize(credential))
}

// LostForSize says that the provider gave a refresh token that is too large to be kept.
func LostForSize(credential *v1alpha1.TokenCredential, size int) *problem.Problem {
	return problem.New(v1alpha1.RotatedTokenLostReason,
		"the refresh token was spent, and the provider answered with one of %d bytes, which is more than the %d that are kept: tell the provider, and %s",
		size, token.MaxSize, reauthorize(credential))
}

// rfc3339 writes a moment for people, in UTC.
func rfc3339(moment time.Time) string { return moment.UTC().Format(time.RFC3339) }

// NotLoaded says why a state cannot be used.
func NotLoaded(err error, credential *v1alpha1.TokenCredential) error {
	name := credential.StateSecretName()
	switch {
	case errors.Is(err, store.ErrForeign):
		return problem.New(v1alpha1.TargetConflictReason,
			"the Secret %q has the name of this credential's state Secret and is none: delete or rename it, or rename the credential", name)
	case errors.Is(err, store.ErrUnreadable):
		return problem.New(v1alpha1.PersistBlockedReason,
			"the state Secret %q was changed by hand (%s): restore it; or put a new refresh token into the Secret of spec.refreshTokenSecretRef, and then delete it", name, problem.OneLine(err))
	case isTransient(err):
		return transient(err)
	default:
		return problem.New(v1alpha1.PersistBlockedReason, "%s: allow the operator to read the Secret %q; it is tried again", problem.OneLine(err), name)
	}
}

// NotSaved says what stands in the way of saving a state.
func NotSaved(err error, credential *v1alpha1.TokenCredential, called bool) error {
	if problem.Of(err) != nil {
		return err
	}
	if isTransient(err) {
		return transient(err)
	}
	consequence := "so the provider is not asked"
	if called {
		consequence = "so the provider is asked again"
	}
	return problem.New(v1alpha1.PersistBlockedReason, "%s, %s: see whether %s", problem.OneLine(err), consequence, WhatForbids(credential))
}

// isTransient reports whether the API server could not serve a request, as against
// refusing it.
func isTransient(err error) bool {
	return errors.Is(err, store.ErrUnreachable) || errors.Is(err, store.ErrUnavailable)
}

func transient(err error) *problem.Problem {
	p := problem.New(v1alpha1.PersistBlockedReason, "%s: it is tried again", problem.OneLine(err))
	p.Transient = true
	return p
}

// WhatForbids names what a person can look at where the state cannot be written.
func WhatForbids(credential *v1alpha1.TokenCredential) string {
	return fmt.Sprintf("a quota, a policy, an admission webhook or its immutability forbids to change the Secret %q", credential.StateSecretName())
}

// Redirected says that the provider's own documents name other hosts than they did when
// the grant began.
func Redirected(credential *v1alpha1.TokenCredential, bound, now rotation.Origin) *problem.Problem {
	return problem.New(v1alpha1.ReauthorizationRequiredReason,
		"the refresh token belongs to %s, and what the provider publishes names %s now, which is sent nothing of what the other gave or was given: ask the provider whether it has moved, and if so, %s",
		bound.Discovered, now.Discovered, reauthorize(credential))
}

// Moved says that the refresh token belongs to another origin than spec names now.
func Moved(credential *v1alpha1.TokenCredential, bound, now rotation.Origin) *problem.Problem {
	return problem.New(v1alpha1.ReauthorizationRequiredReason,
		"the refresh token belongs to %s, and spec now asks %s, which is sent nothing of what the other gave or was given: put spec.providerRef and spec.parameters back; or %s",
		bound.Refresh, now.Refresh, reauthorize(credential))
}

// WithUnsaved adds to an outcome that it could not be saved. What is no outcome gives
// way to that.
func WithUnsaved(outcome, unsaved error) error {
	answered, blocked := problem.Of(outcome), problem.Of(unsaved)
	if answered == nil || blocked == nil {
		return unsaved
	}
	return extended(answered, "; and "+blocked.Message)
}

// Unfinished adds to what stands in the way of a finish what it does not cost.
func Unfinished(err error) error {
	p := problem.Of(err)
	if p == nil {
		return err
	}
	return extended(p, "; the refresh before it went well and is saved, and is not made again for this")
}

// WithDoubt adds to a failure of a retry that the outcome of the first time is still unknown.
func WithDoubt(p *problem.Problem, first *rotation.Attempt) *problem.Problem {
	return extended(p, "; whether the refresh token was spent when it was sent at "+rfc3339(first.Started)+" is still unknown")
}

// extended is a problem with more to say.
func extended(p *problem.Problem, more string) *problem.Problem {
	longer := *p
	longer.Message += more
	return &longer
}
