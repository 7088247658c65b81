// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// tellingReasons are those of the condition Refreshed which say that the provider's
// current refresh token may not be there. PersistBlocked is none: a successor that waits
// to be saved is held by a live process, which counts by itself.
var tellingReasons = []string{
	v1alpha1.OutcomeUnknownReason, v1alpha1.RotatedTokenLostReason, v1alpha1.ReauthorizationRequiredReason,
	v1alpha1.RestoredFromBackupReason, v1alpha1.DuplicateSourceReason,
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
	if w.isMistyped(livesOn) {
		livesOn = state.previous // to which the user can go back
	}
	if livesOn == "" {
		return
	}
	grant, found := w.simulator.GrantOf(livesOn)
	switch {
	case !found && w.isMistyped(livesOn):
	case !found:
		w.violated(fmt.Sprintf("%s lives on %q, which nobody ever issued", name, livesOn))
	case grant.Revoked, w.putBack, w.isGivenUp(grant.ID), w.isKept(grant.Current), livesOn == state.previous && livesOn == grant.Current,
		strings.Contains(state.spent, digest(livesOn)), w.isTold(credential, state), w.isToldOf(grant.ID), w.isFoundOut(credential, livesOn):
	default:
		w.violated(fmt.Sprintf("lost in silence: %s lives on %s, and the provider's current token, %s, is nowhere", name, livesOn, grant.Current))
	}
}

func (w *world) seed() string {
	seed := w.api.secret(seedName)
	if seed == nil {
		return ""
	}
	return string(seed.Data["refresh_token"])
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
			if grant, found := r.spool.Find(state.exchange(), secret.New(state.refreshToken)); found && grant.RefreshToken.Reveal() == token {
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
	if remembered := credential.Status.StateSecret; !state.exists && remembered != nil && remembered.Seed == inStatus(credential, w.seed()) {
		return true
	}
	return slices.ContainsFunc(tellingReasons, func(reason string) bool { return w.says(credential, reason) })
}

// isFoundOut tells whether the loss of a proven token's successor is told once that token
// is sent again, as it is when the next renewal is due: nothing was claimed for it, and no
// wiser state can be had. At rest this counts no more, since by then it was due, unless
// the credential is suspended or deleted, or tells of something else that a person must do
// before anything is sent.
func (w *world) isFoundOut(credential *v1alpha1.TokenCredential, token string) bool {
	isDue := w.atRest && credential != nil && !credential.Spec.Suspend && w.stalledFor(credential.Name) == ""
	return w.variant.auto != "" && (w.fateOf(token).proven || w.mayBeVoid(credential)) && !isDue
}

// mayBeVoid tells whether a credential lives on the successor of a proven token that another
// leader may have sent as well, inside the window, and so got another one in its place.
func (w *world) mayBeVoid(credential *v1alpha1.TokenCredential) bool {
	return w.variant.window > 0 && len(w.replicas) > 1 && credential != nil && w.fateOf(w.state(credential.Name).previous).proven
}

// isFoundOutNext tells whether a credential lives on a proven token that another one on the
// same grant has spent: after it was due itself, or while the provider takes a spent token
// for a while. It is not taken when it is due again.
func (w *world) isFoundOutNext(name string) bool {
	credential, state := w.api.credential(name), w.state(name)
	grant, found := w.simulator.GrantOf(state.refreshToken)
	return w.variant.auto != "" && found && grant.Current != state.refreshToken && w.fateOf(state.refreshToken).proven &&
		credential != nil && !credential.Spec.Suspend && !w.isTold(credential, state)
}

func (*world) says(credential *v1alpha1.TokenCredential, reason string) bool {
	refreshed := meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.RefreshedCondition)
	return refreshed != nil && refreshed.Status == metav1.ConditionFalse && refreshed.Reason == reason
}

func digest(token string) string { return secret.New(token).Digest() }

// inStatus is the digest of a seed as a credential's status has it.
func inStatus(credential *v1alpha1.TokenCredential, seed string) string {
	states := &store.Store{Key: digestKey}
	return states.TokenDigest(credential, digest(seed))
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
	for _, r := range w.replicas {
		text.WriteString(r.process.describe())
	}
	return text.String()
}

func describeAttempt(attempt *rotation.Attempt) string {
	if attempt == nil {
		return "none"
	}
	return fmt.Sprintf("of %s at %s, resend %t", attempt.Holder, attempt.Started.Format("15:04:05"), attempt.Resend)
}
