// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

// effect is what a visit is about to do to the world.
type effect struct {
	verb string
	name string
	do   func() error
	// fates that may befall it.
	fates []fate
}

func (e *effect) String() string { return e.verb + " " + e.name }

// fate is what becomes of an effect.
type fate string

// Fates of every effect.
const (
	done         fate = "done"
	killedBefore fate = "killed before"
	killedAfter  fate = "killed after"
)

// Fates of a request to the API server.
const (
	refusedForbidden fate = "refused: forbidden"
	refusedInternal  fate = "refused: internal error"
	notReached       fate = "not reached"
	appliedReplyLost fate = "applied, reply lost"
	replyLate        fate = "applied, reply late"
)

// Fates of a request to the provider.
const (
	notSent           fate = "nothing sent"
	lostOnTheWay      fate = "lost on the way"
	actedReplyLost    fate = "acted, reply lost"
	actedThen503      fate = "acted, then 503"
	plain503          fate = "503"
	rateLimited       fate = "429"
	invalidGrant      fate = "invalid_grant, once"
	withoutAccess     fate = "acted, no access token in the reply"
	withAnError       fate = "acted, an error beside the tokens"
	underWayForLong   fate = "under way for long"
	answeredAfterLong fate = "acted, reply late"
)

// Fates of a request on its way to the courier, beside what becomes of it there.
const (
	// replyLost: the connection breaks, and the exchange goes on.
	replyLost fate = "received, the connection breaks"
	// managerKilled leaves the effect to the courier.
	managerKilled fate = "its manager killed"
)

var (
	askFates   = []fate{notReached, killedBefore}
	handFates  = []fate{notSent, replyLost, managerKilled, killedBefore}
	readFates  = []fate{refusedInternal, notReached, killedBefore}
	writeFates = []fate{refusedForbidden, refusedInternal, notReached, appliedReplyLost, replyLate, killedBefore, killedAfter}
	replyFates = []fate{killedBefore}
	sendFates  = []fate{
		notSent, lostOnTheWay, actedReplyLost, actedThen503, plain503, rateLimited, invalidGrant,
		withoutAccess, withAnError, answeredAfterLong, killedBefore, killedAfter,
	}
)
