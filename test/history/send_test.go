// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// tokenFate is what the machine knows of a refresh token that was sent.
type tokenFate struct {
	// sends that left, how many of them had no clear answer, and how many of these relied on
	// a proof.
	sends, doubtful, relied int
	// refused is true once a reply said invalid_grant.
	refused bool
	// refusal that a reconcile knows of.
	refusal *refusal
	// abandoned is true once a seed took its place while a claim stood on it: nobody but
	// the provider knows whether it was spent.
	abandoned bool
	// proven is true once a reply said that the token works and stays as it is.
	proven bool
	// landedLate is true once a request with it has arrived that its sender had given up.
	landedLate bool
	// mistyped is true of what a user typed, and no provider ever issued.
	mistyped bool
	// boundElsewhere is true once a claim has bound the token to the other host.
	boundElsewhere bool
	// hosts that the token was sent to or came from, by the credential.
	hosts map[string]string
}

// refusal of a token.
type refusal struct {
	process    *process
	credential string
	version    int // of what users had done, as the reconcile saw it; 0: not known
}

func (w *world) fateOf(token string) *tokenFate {
	known := w.tokens[token]
	if known == nil {
		known = &tokenFate{}
		w.tokens[token] = known
	}
	return known
}

// sending judges a request that leaves.
func (w *world) sending(visit *visit, token string) {
	w.stats.Sends++
	w.fateOf(token).sends++
	if visit.suspended {
		w.violated(fmt.Sprintf("%s is suspended, and the provider is called", visit.credential))
	}
	if isLogin := token == ""; !isLogin || w.state(visit.credential).attempt == nil { // what became of a claim may call for a login
		w.judgeNeed(visit)
	}
	w.trying(visit)
	if token == "" { // a login spends nothing
		return
	}
	w.traceSend(visit, token)
	w.judgeRefused(visit, token)
	if !w.variant.reusable {
		w.judgeSpent(visit, token)
	}
}

// trying notes that the provider is called: what came before counts no more.
func (w *world) trying(visit *visit) {
	w.tried[visit.credential] = true
	delete(w.obtained, visit.credential)
}

// freshTime is for how long no renewal of a token can be due: 80 % of its lifetime, less
// a jitter of a tenth.
const freshTime = lifetime*7/10 - time.Second

// judgeNeed: while a token is fresh, and users have done nothing, no provider is called,
// whatever has become of the process that got it and of the status that it owed. Where etcd
// was put back, or the credential deleted, what users have asked for cannot be told any more
// from what they had; and what they have done since a visit began, that may have read.
func (w *world) judgeNeed(visit *visit) {
	got, ok := w.obtained[visit.credential]
	if !ok || w.putBack || w.api.credential(visit.credential) == nil || w.isRequested(visit.credential) || got.version == 0 || visit.version == 0 || got.version != visit.version || visit.version != w.deeds || visit.seen < got.recorded || w.clocksDiffer() {
		return
	}
	if w.now.Sub(got.at) < freshTime {
		w.violated(fmt.Sprintf("the provider is called for %s, whose token of %s is fresh", visit.credential, got.at.Format("15:04:05")))
	}
}

// judgeRefused: what the provider has refused is not sent again, while users have done
// nothing that may have cured it, by a process that knows. A reusable one, which nothing
// spends, may be, where another leader has got a token with the seed before.
func (w *world) judgeRefused(visit *visit, token string) {
	known := w.fateOf(token).refusal
	if known == nil || w.variant.reusable && len(w.replicas) > 1 || known.version == 0 || known.version != visit.version || w.writesBack || w.putBack || w.clocksDiffer() {
		return
	}
	if known.process == visit.decides() && known.credential == visit.credential {
		w.violated(fmt.Sprintf("the token %s was refused, and is sent again by the process that knows", token))
	}
}

// judgeSpent: a token is unspent, or inside the window, or this is the one retry that
// RetryOnce allows and the claim records.
func (w *world) judgeSpent(visit *visit, token string) {
	known := w.fateOf(token)
	if w.mayCountOn(visit, token) {
		return
	}
	if doubts := known.doubtful - known.relied; doubts > 1 && !w.mayNotKnow(visit) {
		w.violated(fmt.Sprintf("the token %s was sent %d times without a clear answer, and is sent again", token, doubts))
	}
	if known.mistyped || w.variant.auto != "" && known.landedLate {
		return
	}
	grant, found := w.simulator.GrantOf(token)
	if !found {
		w.violated(fmt.Sprintf("the token %q is sent, which nobody ever issued", token))
		return
	}
	if !w.isSpent(grant, token) || w.isGivenUp(grant.ID) || w.mayNotKnow(visit) {
		return // see the package comment
	}
	state := w.state(visit.credential)
	if state.attempt != nil && state.attempt.Resend && visit.policy == retryOnce {
		w.stats.Retries++
		return
	}
	if state.attempt != nil && known.proven && known.relied > 0 && known.doubtful == known.relied {
		return // the first claim on what was proven, and is so no more
	}
	w.violated(fmt.Sprintf("the spent token %s is sent", token))
}

// doubt notes that a send has no clear answer. While a proven token is relied on, that may
// spend it without anyone knowing: where the proof goes meanwhile, as a seed that was
// mistyped and mended takes it, the first claim on the token finds that out.
func (w *world) doubt(visit *visit, token string) {
	known, state := w.fateOf(token), w.state(visit.credential)
	known.doubtful++
	if known.proven && state.proves && state.refreshToken == token && state.attempt == nil {
		known.relied++
	}
}

// noteProof notes that a reply has shown a token to work more than once. Of such an access
// token the target may hold the only copy.
func (w *world) noteProof(v *visit) {
	if w.variant.auto != "" && v.brings != "" && v.sent != "" && (v.holds == "" || v.holds == v.sent) {
		known := w.fateOf(v.sent)
		known.proven, known.doubtful, known.relied = true, 0, 0
		w.stateTokens[v.brings] = true
	}
}

// mayCountOn reports whether a token may be sent without a claim, and again after no clear
// answer: it is proven, the state says so, and has no other token. Once it was refused it
// is proven no more, and tried again under a claim. (Of two leaders one may have read the
// state before the other got a successor, and of two credentials one may not know that the
// other lost it: no claim holds a proven token.)
func (w *world) mayCountOn(visit *visit, token string) bool {
	state, known := w.state(visit.credential), w.fateOf(token)
	isLive := state.refreshToken == token && (state.proves && state.attempt == nil || known.refused)
	return w.variant.auto != "" && known.proven && (isLive || len(w.replicas) > 1 || len(w.names) > 1)
}

// judgeOrigin: a token goes to the host alone that it came from or was first sent to,
// whatever users write into the URL. A reusable seed may be tried elsewhere until its
// acceptance is saved, and, by one of two leaders or a process that has just started, until it
// has seen that: nothing is claimed for it.
func (w *world) judgeOrigin(visit *visit, token, host string) {
	if token == "" || w.putBack || w.stateDeleted || w.restored && w.fateOf(token).mistyped {
		return
	}
	if w.variant.reusable {
		name := stateOf(visit.credential)
		seen, _ := w.api.at(secrets, name, visit.decides().seenState[name]).(*corev1.Secret)
		if seen == nil {
			return
		}
		if state := w.read(seen); state.host != "" && state.refreshToken == token && state.host != host {
			w.violated(fmt.Sprintf("the token %s belongs to %s, and is sent to %s", token, state.host, host))
		}
		return
	}
	if known := w.fateOf(token).hosts[visit.credential]; known != "" && known != host {
		w.violated(fmt.Sprintf("the token %s belongs to %s, and is sent to %s", token, known, host))
	}
	w.noteOrigin(visit, token, host)
}

// noteOrigin notes to which host a token belongs.
func (w *world) noteOrigin(visit *visit, token, host string) {
	if token == "" {
		return
	}
	known := w.fateOf(token)
	if known.hosts == nil {
		known.hosts = map[string]string{}
	}
	known.hosts[visit.credential] = host
}

// mayNotKnow reports whether etcd was put back, and the process of a visit has not seen
// what was there after that revision.
func (w *world) mayNotKnow(visit *visit) bool { return w.putBack && visit.decides().unaware }

func (w *world) clocksDiffer() bool {
	return slices.ContainsFunc(w.replicas, func(r *replica) bool { return r.clock != 0 })
}

// judgeDropped: while its process lives, nobody lets go of a successor that is to be saved
// under a claim.
func (w *world) judgeDropped(v *visit) {
	state := w.state(v.credential)
	if v.holds == "" || v.process.killed || w.isKept(v.holds) {
		return
	}
	if state.attempt == nil {
		w.judgeDroppedUnclaimed(v, state)
		return
	}
	if of := w.claims[state.attempt.ID]; of != nil && of.process == v.process && w.fateOf(v.holds).sends == 0 {
		w.violated(fmt.Sprintf("%s lets go of %s, which is not saved", v.process.name, v.holds))
	}
}

// judgeDroppedUnclaimed: nor of the successor of a proven token, which has no claim, while
// that token is in the state still.
func (w *world) judgeDroppedUnclaimed(v *visit, state stored) {
	grant, _ := w.simulator.GrantOf(v.holds)
	if w.variant.auto != "" && state.proves && state.refreshToken == v.sent && v.holds != v.sent && grant.Current == v.holds && !grant.Revoked {
		w.violated(fmt.Sprintf("%s lets go of %s, the successor of a proven token, which is not saved", v.process.name, v.holds))
	}
}
