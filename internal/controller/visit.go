// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
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
	// unpublished is true while the target does not hold the token at hand.
	unpublished bool
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
	record, err := v.load(ctx)
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
	if v.seed = record.Judge(v.inputs.seed); v.seed == rotation.SeedNew {
		if err := v.confirmSeed(ctx); err != nil {
			return err
		}
	}
	if state := v.record.State; v.keepsAccessToken() && !state.AccessToken.IsZero() {
		v.token = &token{state.AccessToken, state.TokenType, state.IssuedAt, state.ExpiresAt, state.Outputs}
	}
	return nil
}

// load reads the state, unless nothing is spent by what is in it and both the status
// and the cache say that there is none.
func (v *visit) load(ctx context.Context) (*rotation.Record, error) {
	if !v.singleUse() && v.credential.Status.StateSecret == nil {
		if known, err := v.Secrets.version(ctx, v.key(v.credential.StateSecretName())); err == nil && known == absent {
			return v.States.None(v.credential), nil
		}
	}
	return v.States.Load(ctx, v.credential)
}

// confirmSeed looks whether a seed that is new to the state is still the user's. To
// a process whose cache lags, the seed before the one that another process has just
// adopted looks new too.
func (v *visit) confirmSeed(ctx context.Context) error {
	ref := v.credential.Spec.RefreshTokenSecretRef
	live, err := v.Secrets.getLive(ctx, v.key(string(ref.Name)))
	if err != nil {
		return err
	}
	if live == nil || !seedIn(live, ref).Equal(v.inputs.seed) {
		return &pause{until: v.now, why: "the refresh token has been replaced meanwhile"}
	}
	return nil
}

// rememberSeed keeps a state Secret that was deleted, or replaced by an older copy,
// from making a spent token look like a new one: the status remembers which seed
// was adopted.
func (v *visit) rememberSeed() {
	adopted := v.credential.Status.StateSecret
	if !v.singleUse() || adopted == nil || adopted.Seed == "" {
		return
	}
	same := adopted.Seed == v.inputs.seed.Digest()
	switch {
	case !v.record.Exists() && same:
		v.record.State = v.record.State.Adopt(v.inputs.seed).Lose()
	case !v.record.Exists(): // a cache that lags may show it once more
		v.record.State.Spent = v.record.State.Spent.Add(adopted.Seed)
	case v.record.Copied && same:
		v.record.State.Seed = adopted.Seed
	}
}

// preflight finds whatever would refuse the target, before anything is spent.
func (v *visit) preflight(ctx context.Context) (err error) {
	v.template, err = v.templates.Compile(v.credential.Spec.Target, v.source, v.provider.Outputs, slices.Sorted(maps.Keys(v.parameters)))
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
	v.unpublished = true
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
	v.unpublished = false
	v.credential.Status.Target = written
	v.standing = &target.Standing{Exists: true, ResourceVersion: written.ResourceVersion}
	v.repaired = before != nil && before.Digest == written.Digest && !v.refreshed
	return nil
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
