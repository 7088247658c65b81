// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// tellingReasons are those of conditions which say that the provider's current
// refresh token may not be there.
var tellingReasons = []string{
	v1alpha1.OutcomeUnknownReason, v1alpha1.RotatedTokenLostReason, v1alpha1.ReauthorizationRequiredReason,
	v1alpha1.RestoredFromBackupReason, v1alpha1.DuplicateSourceReason, v1alpha1.PersistBlockedReason,
}

// check is the invariant, after each step.
func (w *world) check() {
	if w.violation == "" {
		for _, name := range w.names {
			w.checkToken(name)
		}
	}
	if w.violation != "" {
		w.t.Fatalf("%s: %s\n%s", violated, w.violation, w.describe())
	}
}

// violated begins the message of each failure that is the operator's.
const violated = "INVARIANT VIOLATED"

// checkToken checks that the current refresh token of the grant that a credential
// lives on is somewhere, or that something durable says that it is not.
func (w *world) checkToken(name string) {
	state := w.state(name)
	credential := w.api.credential(name)
	livesOn := state.refreshToken
	if livesOn == "" {
		if credential == nil {
			return
		}
		livesOn = w.seed()
	}
	grant, found := w.simulator.GrantOf(livesOn)
	switch {
	case !found:
		w.violated(fmt.Sprintf("%s lives on %q, which nobody ever issued", name, livesOn))
	case grant.Revoked, w.isGivenUp(grant.ID), w.isKept(grant.Current), w.isTold(credential, state), w.isToldOf(grant.ID):
	default:
		w.violated(fmt.Sprintf("lost in silence: %s lives on %s, and the provider's current token, %s, is nowhere", name, livesOn, grant.Current))
	}
}

func (w *world) seed() string {
	return string(w.api.secret(seedName).Data["refresh_token"])
}

// isKept tells whether a token is in a state, in the user's Secret, in the memory
// of a live process or in a spool that will be found.
func (w *world) isKept(token string) bool {
	if w.seed() == token {
		return true
	}
	for _, name := range w.names {
		if w.state(name).refreshToken == token {
			return true
		}
	}
	for _, visit := range w.visits() {
		if visit.holds == token {
			return true
		}
	}
	return w.isSpooled(token)
}

func (w *world) isSpooled(token string) bool {
	for _, name := range w.names {
		state := w.state(name)
		for _, r := range w.replicas {
			if grant, found := r.spool.Find(state.attempt, secret.New(state.refreshToken)); found && grant.RefreshToken.Reveal() == token {
				w.stats.Spooled++
				return true
			}
		}
	}
	return false
}

// isGivenUp tells whether one of two credentials on a grant has gone over to a
// later seed in the Secret that they share: the other is to follow.
func (w *world) isGivenUp(grant string) bool {
	return len(w.names) > 1 && slices.ContainsFunc(w.names, func(name string) bool {
		on, found := w.simulator.GrantOf(w.state(name).refreshToken)
		return found && w.number(on.ID) > w.number(grant)
	})
}

// number of a grant, in the order of their seeds.
func (w *world) number(grant string) int {
	return slices.IndexFunc(w.seeds, func(seed string) bool { return strings.HasPrefix(seed, grant+"-") })
}

// isToldOf tells whether another credential on a grant tells of it.
func (w *world) isToldOf(grant string) bool {
	return slices.ContainsFunc(w.names, func(name string) bool {
		return w.onSameGrant(name, grant) && w.isTold(w.api.credential(name), w.state(name))
	})
}

// isTold tells whether something durable says that the token may be lost: a
// condition, or what makes the next visit say so.
func (w *world) isTold(credential *v1alpha1.TokenCredential, state stored) bool {
	if state.attempt != nil || state.restored || strings.Contains(state.spent, digest(state.refreshToken)) && state.exists {
		return true
	}
	if credential == nil {
		return false
	}
	if remembered := credential.Status.StateSecret; !state.exists && remembered != nil && remembered.Seed == digest(w.seed()) {
		return true
	}
	return slices.ContainsFunc(tellingReasons, func(reason string) bool { return w.says(credential, reason) })
}

func (*world) says(credential *v1alpha1.TokenCredential, reason string) bool {
	for _, condition := range credential.Status.Conditions {
		if condition.Reason == reason {
			return true
		}
	}
	return false
}

func digest(token string) string { return secret.New(token).Digest() }

// checkAtRest checks what must hold once every process is healthy and nothing is
// due: all is well, or a condition says truthfully what is not.
func (w *world) checkAtRest(name string) {
	credential := w.api.credential(name)
	if credential == nil {
		if w.api.secret(targetOf(name)) != nil {
			w.violated("at rest: the target of a deleted credential is left")
		}
		return
	}
	state := w.state(name)
	// Once a user has put an older state in its place, the target may hold a newer token.
	if target := w.api.secret(targetOf(name)); state.accessToken != "" && !w.restored && (target == nil || string(target.Data["access_token"]) != state.accessToken) {
		w.violated(fmt.Sprintf("at rest: the target of %s does not hold %s, as the state does", name, state.accessToken))
	}
	stalled := meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.StalledCondition)
	if stalled == nil {
		w.checkWell(name, credential, state)
		return
	}
	w.stats.Told++
	if !w.isTrue(name, stalled.Reason, state) {
		w.violated(fmt.Sprintf("at rest: %s is stalled with %s, which is not so", name, stalled.Reason))
	}
}

// checkWell checks a credential that no person has to look at.
func (w *world) checkWell(name string, credential *v1alpha1.TokenCredential, state stored) {
	grant, _ := w.simulator.GrantOf(state.refreshToken)
	conditions := credential.Status.Conditions
	switch {
	case !meta.IsStatusConditionTrue(conditions, v1alpha1.ReadyCondition) || !meta.IsStatusConditionTrue(conditions, v1alpha1.RefreshedCondition):
		w.violated(fmt.Sprintf("at rest: %s is neither well nor stalled", name))
	case state.attempt != nil:
		w.violated(fmt.Sprintf("at rest: %s is said to be well, and a claim is left", name))
	case grant.Current != state.refreshToken || grant.Revoked:
		w.violated(fmt.Sprintf("at rest: %s is said to be well, and lives on %s, which is not the provider's current token %s (revoked: %t)", name, state.refreshToken, grant.Current, grant.Revoked))
	case !w.simulator.AccessTokenValid(state.accessToken):
		w.violated(fmt.Sprintf("at rest: %s is said to be well, and the provider does not take its token %s", name, state.accessToken))
	}
}

// isTrue tells whether a reason to stall is so.
func (w *world) isTrue(name, reason string, state stored) bool {
	token := state.refreshToken
	if !state.exists {
		token = w.seed()
	}
	known := w.tokens[token]
	grant, _ := w.simulator.GrantOf(token)
	switch reason {
	case v1alpha1.OutcomeUnknownReason:
		return state.attempt != nil
	case v1alpha1.RotatedTokenLostReason:
		// Of a state that its user has deleted nobody can tell more.
		return !state.exists || grant.Current != token || grant.Revoked || known != nil && known.refused
	case v1alpha1.ReauthorizationRequiredReason:
		return known != nil && known.refused
	case v1alpha1.AppRejectedReason:
		return w.appWrong
	case v1alpha1.RestoredFromBackupReason:
		return state.restored
	case v1alpha1.DuplicateSourceReason:
		return slices.ContainsFunc(w.names, func(other string) bool { return other != name && w.onSameGrant(other, grant.ID) })
	}
	return false
}

// onSameGrant tells whether a credential lives on a grant, or began there.
func (w *world) onSameGrant(name, id string) bool {
	state := w.state(name)
	if grant, found := w.simulator.GrantOf(state.refreshToken); found && grant.ID == id {
		return true
	}
	return slices.ContainsFunc(w.seeds, func(seed string) bool {
		grant, _ := w.simulator.GrantOf(seed)
		return grant.ID == id && digest(seed) == state.seed
	})
}

// describe tells how things stand, for a person.
func (w *world) describe() string {
	var text strings.Builder
	fmt.Fprintf(&text, "provider %s, at %s, the seed is %s\n", w.variant.name, w.now.Format("15:04:05"), w.seed())
	for _, name := range w.names {
		state := w.state(name)
		grant, _ := w.simulator.GrantOf(state.refreshToken)
		fmt.Fprintf(&text, "%s: state %s (provider: %s, revoked %t), access token %s, claim %s, copy %t\n",
			name, state.refreshToken, grant.Current, grant.Revoked, state.accessToken, describeAttempt(state.attempt), state.restored)
		if credential := w.api.credential(name); credential != nil {
			for _, c := range credential.Status.Conditions {
				fmt.Fprintf(&text, "  %s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
			}
		}
	}
	for _, visit := range w.visits() {
		fmt.Fprintf(&text, "%s, %s: about to %s\n", visit.process.name, visit.credential, visit.at)
	}
	return text.String()
}

func describeAttempt(attempt *rotation.Attempt) string {
	if attempt == nil {
		return "none"
	}
	return fmt.Sprintf("of %s at %s, resend %t", attempt.Holder, attempt.Started.Format("15:04:05"), attempt.Resend)
}
