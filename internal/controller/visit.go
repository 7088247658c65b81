// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// visit is one look at one credential: what was found, what was done, and what
// is to be said about it. Its steps run in order; each leaves what later ones
// need.
type visit struct {
	*Reconciler

	credential *v1alpha1.TokenCredential
	// stored is the credential with the status that the API server has.
	stored *v1alpha1.TokenCredential
	now    time.Time

	provider   found
	parameters map[string]string
	source     string // digest of provider and parameters
	inputs     *inputs
	template   *target.Template
	standing   *target.Standing
	record     *rotation.Record
	seed       rotation.SeedVerdict

	// token is what the target is to hold, where it is at hand.
	token *token
	// ended is true once this visit has asked the provider, whatever came of it.
	ended bool
	// refreshed is true once this visit has brought a token.
	refreshed bool
	// repaired is true once this visit has mended a target.
	repaired bool
	// notices are events that are due once, whatever comes of the visit.
	notices []notice
}

// token is an access token at hand.
type token struct {
	accessToken secret.Text
	tokenType   string
	issuedAt    time.Time
	expiresAt   time.Time
	outputs     map[string]any
}

// resolve finds the provider and checks what the credential gives it.
func (v *visit) resolve(ctx context.Context) (err error) {
	if v.provider, err = v.Catalog.find(ctx, v.credential.Spec.ProviderRef); err != nil {
		return err
	}
	if v.credential.Spec.Renewal.Before.IsUnreadable() {
		return problemf(v1alpha1.InvalidParametersReason, "spec.renewal.before is no duration: write one such as 90s, 5m or 1h30m")
	}
	if v.parameters, err = v.provider.Parameters(v.credential.Spec.Parameters); err != nil {
		return problemf(v1alpha1.InvalidParametersReason, "%s", oneLine(err))
	}
	v.source = sourceDigest(v.credential.Spec.ProviderRef, v.parameters)
	v.inputs, err = (&gatherer{secrets: v.Secrets, credential: v.credential, provider: v.provider}).gather(ctx)
	return err
}

// recover reads the state and what an earlier attempt left in it.
func (v *visit) recover(ctx context.Context) error {
	record, err := v.States.Load(ctx, v.credential)
	switch {
	case errors.Is(err, rotation.ErrForeign):
		return problemf(v1alpha1.TargetConflictReason,
			"the Secret %q stands where the refresh token would be kept and is not a state Secret of this credential: delete or rename it, or rename the credential", v.credential.StateSecretName())
	case errors.Is(err, rotation.ErrUnreadable):
		return problemf(v1alpha1.PersistBlockedReason,
			"the state Secret %q was changed by hand (%s): put it back; or put a new refresh token into the Secret of spec.refreshTokenSecretRef, and then delete it", v.credential.StateSecretName(), oneLine(err))
	case err != nil:
		return err
	}
	v.record = record
	if err := v.unspool(ctx); err != nil {
		return err
	}
	v.attempts.observe(client.ObjectKeyFromObject(v.credential), record.State.Attempt)
	v.rememberSeed()
	v.seed = record.Judge(v.inputs.seed)
	if state := v.record.State; v.keepsAccessToken() && !state.AccessToken.IsZero() {
		v.token = &token{state.AccessToken, state.TokenType, state.IssuedAt, state.ExpiresAt, state.Outputs}
	}
	return nil
}

// rememberSeed keeps a deleted state Secret from making a spent token look like a
// new one: the status remembers which seed was adopted.
func (v *visit) rememberSeed() {
	adopted := v.credential.Status.StateSecret
	if v.singleUse() && !v.record.Exists() && adopted != nil && adopted.Seed != "" && adopted.Seed == v.inputs.seed.Digest() {
		v.record.State = v.record.State.Adopt(v.inputs.seed).Lose()
	}
}

// preflight finds whatever would refuse the target, before anything is spent.
func (v *visit) preflight(ctx context.Context) (err error) {
	v.template, err = target.Compile(v.credential.Spec.Target, v.source, v.provider.Outputs, slices.Sorted(maps.Keys(v.parameters)))
	if err != nil {
		return problemf(v1alpha1.InvalidParametersReason, "%s", oneLine(err))
	}
	cached, err := v.Secrets.metadata(ctx, v.key(v.credential.TargetName()))
	if err != nil {
		return err
	}
	v.standing, err = v.Targets.Inspect(ctx, v.credential, v.template, cached)
	return asProblem(err)
}

// renew calls the provider, where that is due.
func (v *visit) renew(ctx context.Context) error {
	if missing := v.inputs.appMissing; missing != nil {
		return missing
	}
	facts := v.facts()
	switch decide(facts) {
	case call:
		if facts.hasToken && !v.now.Before(facts.due) {
			v.Metrics.started(v.now.Sub(facts.due))
		}
		return (&renewal{visit: v, recovery: facts.recovery}).run(ctx)
	case waitForHolder:
		return &pause{until: v.now.Add(time.Second), why: "another process holds the claim on the refresh token"}
	case holdUnknown:
		return v.unknownOutcome()
	case holdRestored:
		return v.restored()
	case holdLost:
		return rotatedTokenLost()
	case waitForRetry, stayStalled:
		return standingProblem(v.credential)
	default:
		return nil
	}
}

// publish brings the target up to date with the token at hand.
func (v *visit) publish(ctx context.Context) error {
	if v.token == nil || !v.standing.Drifted && !v.refreshed && !v.behind() {
		return nil
	}
	content, err := v.template.Render(target.Token{
		AccessToken: v.token.accessToken,
		TokenType:   v.token.tokenType,
		ExpiresAt:   v.token.expiresAt,
		Outputs:     v.token.outputs,
		Parameters:  v.parameters,
	})
	if err != nil {
		return problemf(v1alpha1.InvalidParametersReason, "the target cannot be rendered: %s", oneLine(err))
	}
	before := v.credential.Status.Target
	written, err := v.Targets.Publish(ctx, v.credential, v.template, v.standing, content)
	if err != nil {
		return asProblem(err)
	}
	v.credential.Status.Target = written
	v.standing = &target.Standing{Exists: true, ResourceVersion: written.ResourceVersion}
	v.repaired = before != nil && before.Digest == written.Digest && !v.refreshed
	return nil
}

// facts gathers what decide rests on.
func (v *visit) facts() facts {
	status := &v.credential.Status
	issued, expires := v.validity()
	recovery := rotation.Nothing
	if attempt := v.record.State.Attempt; attempt != nil && v.singleUse() {
		recovery = v.recoveryOf(attempt)
	}
	f := facts{
		now:            v.now,
		hasToken:       !expires.IsZero(),
		due:            v.due(issued, expires),
		seedIsNew:      v.seed == rotation.SeedNew,
		sourceChanged:  v.token != nil && v.record.State.Source != v.source,
		corrected:      v.corrected(),
		requested:      v.credential.RefreshRequested(),
		targetNeedsOne: v.standing.Drifted && v.token == nil,
		recovery:       recovery,
		restored:       v.singleUse() && v.record.Copied,
		lost:           v.singleUse() && v.record.State.Lost() && !v.canLogin(),
		stalled:        v.wasStalled(),
		changed:        v.inputsChanged() || status.ObservedGeneration != v.credential.Generation,
	}
	if status.FailedAttempts > 0 && status.NextRefreshTime != nil {
		f.retryAt = status.NextRefreshTime.Time
	}
	return f
}

// recoveryOf decides what becomes of an attempt, as things stand now.
func (v *visit) recoveryOf(attempt *rotation.Attempt) rotation.Recovery {
	state := v.record.State
	state.Attempt = attempt
	return state.Recover(rotation.Observer{
		Now:         v.Clock.Now(),
		SeenSince:   v.attempts.seenSince(attempt, v.Clock),
		HolderGone:  attempt.Holder == v.Holder || v.Spool.Predecessor(attempt.Holder, v.Holder),
		NeverSent:   attempt.Holder == v.Holder && !v.attempts.wasSent(attempt.ID),
		ReuseWindow: v.provider.Rotation.ReuseWindow,
		Policy:      v.unknownOutcomePolicy(),
	})
}

// wasStalled tells whether the provider's last answer needs a person. What was
// wrong with the inputs is found anew at each visit, and does not count here.
func (v *visit) wasStalled() bool {
	stalled := meta.FindStatusCondition(v.credential.Status.Conditions, v1alpha1.StalledCondition)
	if stalled == nil {
		return false
	}
	switch stalled.Reason {
	case v1alpha1.TargetConflictReason, v1alpha1.InvalidParametersReason, v1alpha1.ProviderInvalidReason:
		return false
	case v1alpha1.OutcomeUnknownReason: // another process may have ended the attempt
		return v.record.State.Attempt != nil
	case v1alpha1.RotatedTokenLostReason:
		return v.record.State.Lost()
	}
	return true
}

// corrected tells whether a person had to act and a Secret or the provider has
// changed since.
func (v *visit) corrected() bool { return v.wasStalled() && v.inputsChanged() }

// standingProblem is the problem of an earlier visit, as it was told then.
func standingProblem(credential *v1alpha1.TokenCredential) error {
	told := meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.RefreshedCondition)
	if told == nil || told.Status != metav1.ConditionFalse {
		return nil
	}
	return &problem{reason: told.Reason, message: told.Message, standing: true}
}

// validity of the current token: from the state where the token itself is kept
// there, else from the status.
func (v *visit) validity() (issued, expires time.Time) {
	if v.token != nil {
		return v.token.issuedAt, v.token.expiresAt
	}
	status := v.credential.Status
	if v.keepsAccessToken() || status.LastRefreshTime == nil || status.ExpirationTime == nil {
		return time.Time{}, time.Time{}
	}
	return status.LastRefreshTime.Time, status.ExpirationTime.Time
}

// due is when the current token is to be renewed.
func (v *visit) due(issued, expires time.Time) time.Time {
	renewal := schedule.Renewal{
		Percentage: v.credential.Spec.Renewal.Percentage,
		Before:     v.credential.Spec.Renewal.Before.OrDefault(0),
	}
	return schedule.RefreshAt(schedule.Token{IssuedAt: issued, ExpiresAt: expires}, renewal, string(v.credential.UID))
}

// keepsAccessToken tells whether the state holds the access token: where asking
// again would spend something, or where a request builds on the last reply.
func (v *visit) keepsAccessToken() bool {
	return v.singleUse() || v.provider.RemembersReply
}

func (v *visit) singleUse() bool {
	return v.provider.Rotation.Mode == v1alpha1.SingleUse && v.provider.Refresh != nil
}

// behind tells whether the state holds a token that the status does not know of:
// a commit whose publication was cut off, or a state that was kept when its
// credential was deleted.
func (v *visit) behind() bool {
	last := v.credential.Status.LastRefreshTime
	return last == nil || !last.Time.Equal(v.token.issuedAt)
}

func (v *visit) inputsChanged() bool { return v.credential.Status.ObservedInputs != v.inputs.digest }

func (v *visit) canLogin() bool { return v.provider.Login != nil && v.inputs.loginMissing == nil }

func (v *visit) unknownOutcomePolicy() v1alpha1.UnknownOutcomePolicy {
	if policy := v.credential.Spec.OnUnknownOutcome; policy != "" {
		return policy
	}
	return v.provider.Rotation.OnUnknownOutcome
}

func (v *visit) key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: v.credential.Namespace, Name: name}
}

// tell sends an event.
func (v *visit) tell(n notice) {
	v.Events.Eventf(v.credential, nil, n.kind, n.reason, n.action, "%s", n.message)
}

// notify keeps an event until the end of the visit.
func (v *visit) notify(n notice) { v.notices = append(v.notices, n) }

// sourceDigest names what tokens are asked from: the provider and its
// parameters.
func sourceDigest(ref v1alpha1.ProviderReference, parameters map[string]string) string {
	encoded, err := json.Marshal([]any{ref.Kind, ref.Name, parameters})
	if err != nil { // Strings and maps of strings always encode.
		return ""
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}
