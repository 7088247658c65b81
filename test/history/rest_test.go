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
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

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
	w.checkReady(name, credential)
	w.checkPlanned(name, credential)
	w.checkSpool(name, state)
	if credential.Spec.Suspend {
		return
	}
	w.checkPublished(name)
	w.checkMended(name, state)
	stalled := meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.StalledCondition)
	if stalled == nil {
		w.checkWell(name, credential, state)
		return
	}
	w.stats.Told++
	if stalled.Reason == v1alpha1.OutcomeUnknownReason {
		w.judgeUnknown(name, stalled.LastTransitionTime.Time, state)
	}
	if !w.isTrue(name, stalled, state) {
		w.violated(fmt.Sprintf("at rest: %s is stalled with %s, which is not so", name, stalled.Reason))
	}
}

// checkPublished: what was saved of a reply is in the target, too. Once a user has put an
// older state in its place, the target may hold a newer token; and the state of a proven
// refresh token has only an access token that was found in the spool, and no later one; nor
// has that of its successor the one that another leader got for the same token.
func (w *world) checkPublished(name string) {
	credential, state, held := w.api.credential(name), w.state(name), w.tokenInTarget(name)
	if credential == nil || credential.Spec.Suspend || w.restored || state.accessToken == "" || held == state.accessToken {
		return
	}
	if !state.proves && !w.mayBeVoid(credential) || w.issued[held].Before(w.issued[state.accessToken]) {
		w.violated(fmt.Sprintf("at rest: the target of %s holds %q, and its state %s", name, held, state.accessToken))
	}
}

// tokenInTarget is the access token that a credential's target holds; empty for none.
func (w *world) tokenInTarget(name string) string {
	target := w.api.secret(targetOf(name))
	if target == nil {
		return ""
	}
	return string(target.Data["access_token"])
}

// checkReady: Ready tells the truth about the token in the target, and about its expiry.
func (w *world) checkReady(name string, credential *v1alpha1.TokenCredential) {
	held := w.tokenInTarget(name)
	valid := held != "" && w.simulator.AccessTokenValid(held)
	ready := meta.IsStatusConditionTrue(credential.Status.Conditions, v1alpha1.ReadyCondition)
	expires := credential.Status.ExpirationTime
	switch {
	case ready && (!valid || expires == nil || !w.now.Before(expires.Time)):
		w.violated(fmt.Sprintf("at rest: %s is Ready, and its target holds %q (valid: %t), which expires at %s", name, held, valid, expires))
	case !ready && valid && !w.restored:
		w.violated(fmt.Sprintf("at rest: %s is not Ready, and its target holds %s, which is valid", name, held))
	}
}

// checkPlanned: whoever is Ready is looked at again before its token expires; or as it
// does, where no renewal is to come.
func (w *world) checkPlanned(name string, credential *v1alpha1.TokenCredential) {
	conditions, expires := credential.Status.Conditions, credential.Status.ExpirationTime
	if !meta.IsStatusConditionTrue(conditions, v1alpha1.ReadyCondition) || expires == nil {
		return
	}
	isRenewed := !credential.Spec.Suspend && meta.FindStatusCondition(conditions, v1alpha1.StalledCondition) == nil
	for _, r := range w.replicas {
		wake, planned := r.process.wake[name]
		if !planned || wake.After(expires.Time) || isRenewed && wake.Equal(expires.Time) {
			w.violated(fmt.Sprintf("at rest: %s is Ready until %s, and %s looks at it again at %s", name, expires.Format("15:04:05"), r.process.name, wake.Format("15:04:05")))
		}
	}
}

// checkSpool: what an earlier process received has been saved, also of a credential that
// is suspended. The reply to a proven token, which others may have renewed since, is no
// loss where the target holds that token or a newer one: it goes with the next look.
func (w *world) checkSpool(name string, state stored) {
	for _, r := range w.replicas {
		kept, found := r.spool.Find(state.exchange(), secret.New(state.refreshToken))
		if !found || state.restored || w.putBack {
			continue
		}
		brings := kept.RefreshToken.Reveal()
		isRotated := brings != "" && brings != state.refreshToken
		if isRotated || !state.proves || w.issued[w.tokenInTarget(name)].Before(w.issued[kept.AccessToken.Reveal()]) {
			w.violated(fmt.Sprintf("at rest: the spool of %s holds the successor of %s", r.name, state.refreshToken))
		}
	}
}

// checkMended: once the good seed is back in place of a mistyped one, its grant lives on;
// unless it belongs to another host, or none does, since the app's secret is wrong. From what
// was restored there is no way back: a person is asked.
func (w *world) checkMended(name string, state stored) {
	if w.appWrong || state.restored || !w.isMistyped(state.refreshToken) || len(w.seeds) == 0 || w.seed() != w.seeds[len(w.seeds)-1] {
		return
	}
	grant, _ := w.simulator.GrantOf(w.seed())
	if w.fateOf(state.previous).hosts[name] == elsewhereHost {
		return
	}
	if !grant.Revoked && grant.Current == state.previous && w.fateOf(state.previous).doubtful == 0 && !w.fateOf(state.previous).abandoned {
		w.violated(fmt.Sprintf("at rest: the good seed of %s is back, and its grant does not live on", name))
	}
}

// checkWell checks a credential that no person has to look at.
func (w *world) checkWell(name string, credential *v1alpha1.TokenCredential, state stored) {
	conditions := credential.Status.Conditions
	if w.variant.reusable {
		state.refreshToken, state.accessToken = w.seed(), w.tokenInTarget(name)
	}
	if state.proves {
		state.accessToken = w.tokenInTarget(name)
	}
	grant, _ := w.simulator.GrantOf(state.refreshToken)
	switch {
	case !meta.IsStatusConditionTrue(conditions, v1alpha1.ReadyCondition) || !meta.IsStatusConditionTrue(conditions, v1alpha1.RefreshedCondition):
		w.violated(fmt.Sprintf("at rest: %s is neither well nor stalled", name))
	case state.attempt != nil:
		w.violated(fmt.Sprintf("at rest: %s is said to be well, and a claim is left", name))
	case (grant.Current != state.refreshToken || grant.Revoked) && !w.isLeft(state):
		w.violated(fmt.Sprintf("at rest: %s is said to be well, and lives on %s, which is not the provider's current token %s (revoked: %t)", name, state.refreshToken, grant.Current, grant.Revoked))
	case !w.simulator.AccessTokenValid(state.accessToken):
		w.violated(fmt.Sprintf("at rest: %s is said to be well, and the provider does not take its token %s", name, state.accessToken))
	}
}

// isLeft reports whether a refresh token is not sent any more, since a login takes its
// place: it was refused, or may be spent, or belongs to another host, or nobody knows any more
// whether it was refused.
func (w *world) isLeft(state stored) bool {
	mayBeSpent := strings.Contains(state.spent, digest(state.refreshToken))
	return w.variant.login && (state.refused || mayBeSpent || state.host == elsewhereHost || w.stateDeleted)
}

// isTrue tells whether what is said of a stall is so.
func (w *world) isTrue(name string, stalled *metav1.Condition, state stored) bool {
	token := state.refreshToken
	if !state.exists || w.variant.reusable {
		token = w.seed()
	}
	known := w.tokens[token]
	grant, _ := w.simulator.GrantOf(token)
	switch stalled.Reason {
	case v1alpha1.OutcomeUnknownReason:
		return state.attempt != nil
	case v1alpha1.RotatedTokenLostReason:
		// Of a state that its user has deleted nobody can tell more.
		return !state.exists || grant.Current != token || grant.Revoked || known != nil && known.refused
	case v1alpha1.ReauthorizationRequiredReason:
		// One of two leaders may have looked while a claim of the other's, which that withdrew
		// unsent, bound the token to another host: a person is asked more than need be. And what
		// is said of a seed that is back in place of a mistyped one is not of the live token.
		isOfSeed := w.isMistyped(token) && w.fateOf(state.previous).hosts[name] == elsewhereHost
		return w.variant.login && w.fateOf("").refused || known != nil && (known.refused || known.boundElsewhere && len(w.replicas) > 1) || state.host == elsewhereHost || isOfSeed
	case v1alpha1.AppRejectedReason:
		return w.appWrong
	case v1alpha1.RestoredFromBackupReason:
		return state.restored || w.putBack
	case v1alpha1.DuplicateSourceReason:
		return slices.ContainsFunc(w.names, func(other string) bool { return other != name && w.hasHad(other, token, stalled.Message) })
	}
	return false
}

// hasHad tells whether a credential lives on the grant of a token or has spent that, and
// whether what a message says of where its successor is would be so of that credential.
func (w *world) hasHad(name, token, message string) bool {
	state := w.state(name)
	grant, _ := w.simulator.GrantOf(token)
	if !w.onSameGrant(name, grant.ID) && !strings.Contains(state.spent, digest(token)) {
		return false
	}
	var pointsTo string
	switch {
	case strings.Contains(message, "put the previous_refresh_token from there"):
		pointsTo = state.previous
	case strings.Contains(message, "its successor is in"):
		pointsTo = state.refreshToken
	default:
		return true
	}
	successor, _ := w.simulator.GrantOf(pointsTo)
	return successor.ID == grant.ID
}
