// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// next is the state after an outcome. The access token is kept only where it is
// not simply asked for again.
func (r *renewal) next(state rotation.State, outcome provider.Outcome) rotation.State {
	next := state.Commit(r.grant(outcome))
	if !r.keepsAccessToken() {
		next = next.WithoutAccessToken()
	}
	return next
}

// grant is what of an outcome is kept.
func (r *renewal) grant(outcome provider.Outcome) rotation.Grant {
	grant := rotation.Grant(outcome.Tokens)
	if outcome.Reason != v1alpha1.RefreshedReason || !r.keepsAccessToken() {
		grant.AccessToken = secret.Text{}
	}
	return grant
}

// brought tells whether a reply holds a refresh token that must not be lost.
func brought(outcome provider.Outcome, state rotation.State) bool {
	refreshToken := outcome.Tokens.RefreshToken
	return !refreshToken.IsZero() && !refreshToken.Equal(state.RefreshToken)
}

// worthSaving tells whether the state says anything new. An access token that is
// not kept, and what came with it, are not.
func (r *renewal) worthSaving(next rotation.State) bool {
	stored := r.record.State
	return r.provider.RemembersReply || !next.RefreshToken.Equal(stored.RefreshToken) ||
		next.Seed != stored.Seed || stored.Attempt != nil
}

// conclusion is what an outcome means once everything it brought is saved.
func (r *renewal) conclusion(outcome provider.Outcome) error {
	if outcome.LifetimeIgnored {
		r.notify(lifetimeIgnored(r.credential))
	}
	if outcome.Reason != v1alpha1.RefreshedReason {
		return &problem{
			reason:     outcome.Reason,
			message:    r.advice(outcome),
			attempted:  true,
			retryAfter: outcome.RetryAfter,
		}
	}
	tokens := outcome.Tokens
	r.token = &token{tokens.AccessToken, tokens.TokenType, tokens.IssuedAt, tokens.ExpiresAt, tokens.Outputs}
	r.refreshed = true
	if !tokens.RefreshTokenExpiresAt.IsZero() {
		r.credential.Status.RefreshTokenExpirationTime = timeOrNil(tokens.RefreshTokenExpiresAt)
	}
	return nil
}

// advice is what a reason means for the person who reads it.
func (r *renewal) advice(outcome provider.Outcome) string {
	const authorizeAgain = "authorize again and put the new refresh token into the Secret of spec.refreshTokenSecretRef"
	next := map[string]string{
		v1alpha1.ReauthorizationRequiredReason: "the provider no longer accepts the refresh token: " + authorizeAgain,
		v1alpha1.AppRejectedReason:             "the provider refuses who asks: correct " + r.whoAsks(),
		v1alpha1.RequestRejectedReason:         "the provider refuses the request, or its reply holds no usable access token: check spec.parameters; it is tried again",
		v1alpha1.RateLimitedReason:             "the provider asks for fewer calls; it is tried again later",
		v1alpha1.ProviderUnavailableReason:     "the provider cannot serve now; it is tried again",
	}[outcome.Reason]
	if next == "" {
		return outcome.Message
	}
	return strings.TrimSuffix(next+" ("+outcome.Message+")", " ()")
}

// whoAsks names the Secrets that tell the provider who asks.
func (r *renewal) whoAsks() string {
	var secrets []string
	if r.provider.App != v1alpha1.None {
		secrets = append(secrets, "the app's key and secret in the Secret of spec.appSecretRef")
	}
	if r.credential.Spec.LoginSecretRef != nil && r.provider.Login != nil {
		secrets = append(secrets, "the login in the Secret of spec.loginSecretRef")
	}
	return strings.Join(secrets, ", or ")
}

// unclear tells what came in place of a clear answer.
func unclear(outcome provider.Outcome, err error) string {
	if err != nil {
		return oneLine(err)
	}
	return outcome.Message
}

// unknownOutcome says that a token was sent and nobody knows what became of it.
func (v *visit) unknownOutcome() error {
	attempt := v.record.State.Attempt
	otherWay := ", or set spec.onUnknownOutcome to RetryOnce to send it once more"
	if attempt.Resend {
		otherWay = " (it was sent once more already)"
	}
	return problemf(v1alpha1.OutcomeUnknownReason,
		"the single-use refresh token was sent at %s and no clear answer came, so it may be spent: authorize again and put the new refresh token into the Secret of spec.refreshTokenSecretRef%s",
		attempt.Started.UTC().Format(time.RFC3339), otherWay)
}

// rotatedTokenLost says that the one retry has shown the token to be spent.
func rotatedTokenLost() *problem {
	return problemf(v1alpha1.RotatedTokenLostReason,
		"the refresh token was spent and its successor is not there (it never arrived, or its state Secret was deleted): authorize again and put the new refresh token into the Secret of spec.refreshTokenSecretRef")
}

// restored says that the state is a copy.
func (v *visit) restored() error {
	return problemf(v1alpha1.RestoredFromBackupReason,
		"the Secret %q is a copy, restored from a backup or carried over from another cluster, so its refresh token may have been spent since: authorize again and put the new refresh token into the Secret of spec.refreshTokenSecretRef; or, if you know that it was not used since, put the copy's own refresh_token there",
		v.credential.StateSecretName())
}

// duplicate says that an older credential works on the same token. Of another
// namespace no more is told than that.
func (r *renewal) duplicate(twin *metav1.PartialObjectMetadata) error {
	other := "a TokenCredential in another namespace"
	if twin.Namespace == r.credential.Namespace {
		other = fmt.Sprintf("the TokenCredential %q", twin.Annotations[v1alpha1.CredentialAnnotation])
	}
	return problemf(v1alpha1.DuplicateSourceReason,
		"%s works on the same refresh token, which is good for one of them: delete this one, or authorize once more and put a refresh token of its own into the Secret of spec.refreshTokenSecretRef", other)
}

// seedMoved looks whether the user has replaced the refresh token since it was
// read.
func (r *renewal) seedMoved(ctx context.Context, state rotation.State) (bool, error) {
	ref := r.credential.Spec.RefreshTokenSecretRef
	if ref == nil {
		return false, nil
	}
	live, err := r.Secrets.getLive(ctx, r.key(string(ref.Name)))
	if err != nil || live == nil {
		return false, err
	}
	seed := seedIn(live, ref)
	return !seed.Equal(r.inputs.seed) && r.record.State.Judge(seed) == rotation.SeedNew && !seed.Equal(state.RefreshToken), nil
}

// notSaved turns a failure to save the state into what a person should know.
func (r *renewal) notSaved(err error) error {
	switch {
	case errors.Is(err, rotation.ErrConflict), errors.Is(err, rotation.ErrSuperseded), errors.Is(err, rotation.ErrGone):
		return &pause{until: r.now.Add(time.Second), why: oneLine(err)}
	case errors.Is(err, rotation.ErrBlocked):
		consequence := "so the provider is not asked"
		if r.ended {
			consequence = "so the provider is asked again"
		}
		return &problem{
			reason: v1alpha1.PersistBlockedReason,
			message: fmt.Sprintf("%s, %s: see whether a quota, a policy or its immutability forbids to change the Secret %q",
				oneLine(err), consequence, r.credential.StateSecretName()),
			attempted: true,
		}
	default:
		return err
	}
}

// asProblem takes a target's refusal over, and leaves other errors as they are.
func asProblem(err error) error {
	var refusal *target.Refusal
	if errors.As(err, &refusal) {
		return &problem{
			reason:    refusal.Reason,
			message:   refusal.Message,
			attempted: refusal.Reason == v1alpha1.PersistBlockedReason,
			noTarget:  refusal.Reason != v1alpha1.PersistBlockedReason,
		}
	}
	return err
}

func isReason(err error, reasons ...string) bool {
	var p *problem
	return errors.As(err, &p) && slices.Contains(reasons, p.reason)
}

// oneLine is an error's text on one line, as conditions and events want it.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}
