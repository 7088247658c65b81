// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Report is what one reconcile of a credential found and did. What it does not say
// stays as it was.
type Report struct {
	// Inputs is the digest of the provider's and the Secrets' versions; empty where
	// they could not be read.
	Inputs string
	// State as it is stored now; nil: it was not read, or there is none.
	State *State
	// Target as it is now; nil: it was not looked at.
	Target *Target
	// Attempt to renew the token, if there was one: the provider was asked, or its
	// host is known not to answer.
	Attempt *Attempt
	// Renewal is what stands in the way of a renewal, beside Attempt.
	Renewal *problem.Problem
	// Missing is what the user's Secrets lack, said beside what has more weight.
	Missing *problem.Problem
	// Standing is true where what the last attempt failed for still stands in the
	// way.
	Standing bool
	// Suspended is true where spec.suspend is why nothing was tried, as the credential
	// says. Then nothing is missing for a renewal; what cannot be saved is reported.
	Suspended bool
	// Publication is what keeps the token from the target.
	Publication *problem.Problem
	// WriteBack is what keeps the refresh token from the user's Secret.
	WriteBack *problem.Problem
	// Notice is said beside a token that is fresh; it stands in the way of nothing.
	Notice *problem.Problem
	// Paused is true where this reconcile ended early, to be taken up again soon. With
	// Inputs it ended just before the call.
	Paused bool
	// Due is when the token at hand is to be renewed; zero: no token is at hand.
	Due time.Time
	// Handled is true where a refresh that was asked for has been answered.
	Handled bool
	// SeedAdopted, SeedIgnored, Repaired: events that are due once.
	SeedAdopted, SeedIgnored, Repaired bool
}

// State is what status says of the state Secret.
type State struct {
	ResourceVersion string
	Seed            string
	// Copied is true of one that was put back, maybe from before the last seed was adopted.
	Copied bool
	// Sequence counts the tokens obtained; -1: the state does not count them.
	Sequence int64
	// RefreshTokenExpiresAt; zero: not known.
	RefreshTokenExpiresAt time.Time
}

// Target is what status says of the target Secret.
type Target struct {
	ResourceVersion string
	// Token in it; zero: it holds none of the credential's.
	Token token.Validity
	// Holds is true where the Secret was seen to hold that token.
	Holds bool
}

// Attempt is an attempt to renew the token.
type Attempt struct {
	// Problem is why it brought none; nil: it brought one.
	Problem *problem.Problem
	Token   token.Validity
	// LifetimeIgnored is true where the reply stated a lifetime that cannot be used.
	LifetimeIgnored bool
	// Remark says what was wrong with the reply that brought the token; empty: nothing.
	Remark string
	// RefreshTokenExpiresAt; zero: not stated.
	RefreshTokenExpiresAt time.Time
	// RefusedToken is the digest of the refresh token that was refused; empty: none.
	RefusedToken string
}

// renewal is what stands in the way of a renewal, or nil.
func (r *Report) renewal(old *v1alpha1.TokenCredentialStatus) *problem.Problem {
	switch {
	case r.Attempt != nil && r.Attempt.Problem != nil:
		return r.Attempt.Problem
	case r.Suspended && !r.IsBlocked():
		return nil
	case r.Renewal != nil:
		return r.Renewal
	case r.Standing:
		return lastProblem(old)
	}
	return nil
}

// lastProblem is what the last attempt failed for, or nil.
func lastProblem(old *v1alpha1.TokenCredentialStatus) *problem.Problem {
	last := old.LastAttempt
	if last == nil || last.Reason == v1alpha1.RefreshedReason {
		return nil
	}
	return &problem.Problem{Reason: last.Reason, Message: cmp.Or(last.Message, "the last attempt to renew the token failed")}
}

// earlier is the outcome of the last attempt which a person must act on, where the API
// server kept this reconcile from finding out whether it still stands; or nil. With
// other inputs it does not.
func (r *Report) earlier(old *v1alpha1.TokenCredentialStatus) *problem.Problem {
	blocked := r.Attempt == nil && !r.Suspended && r.Renewal != nil && r.Renewal.Reason == v1alpha1.PersistBlockedReason
	last := lastProblem(old)
	if !blocked || !last.Stalls() || r.Inputs != "" && r.Inputs != old.LastAttempt.Inputs {
		return nil
	}
	return last
}

// problems in the order of their weight: the renewal's own outcome first, and none
// hides another.
func (r *Report) problems(old *v1alpha1.TokenCredentialStatus) []*problem.Problem {
	var all []*problem.Problem
	for _, p := range []*problem.Problem{r.earlier(old), r.renewal(old), r.Missing, r.Publication, r.WriteBack} {
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

// IsBlocked reports whether the API server kept something from being read or written,
// which is tried again.
func (r *Report) IsBlocked() bool { return len(r.blocked()) > 0 }

// isNotNudged reports whether a credential asks for nudges of its pods and gets none.
func (r *Report) isNotNudged() bool {
	return r.Notice != nil && r.Notice.Reason == v1alpha1.PodsNotNudgedEvent
}

// IsTransient reports whether it refused nothing of that, and could not serve it.
func (r *Report) IsTransient() bool {
	return !slices.ContainsFunc(r.blocked(), func(p *problem.Problem) bool { return !p.Transient })
}

func (r *Report) blocked() []*problem.Problem {
	return slices.DeleteFunc([]*problem.Problem{r.Renewal, r.Publication, r.WriteBack}, func(p *problem.Problem) bool {
		return p == nil || p.Reason != v1alpha1.PersistBlockedReason
	})
}
