// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recovery says what becomes of an attempt that somebody left: whether its holder
// may still be at it, and whether its token may be sent again. It is told what there is to
// know, and asks nobody.
package recovery

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// HolderTimeout is how long a claim may stand without progress, on the
// observer's own clock, before its holder counts as gone. It is longer than an
// exchange (30 s at most) and the fence before it.
const HolderTimeout = 45 * time.Second

// Verdict is what becomes of an attempt that another process left.
type Verdict string

const (
	// Nothing was left.
	Nothing Verdict = "Nothing"
	// Wait: its holder may still be at it.
	Wait Verdict = "Wait"
	// Resend the same token: inside the provider's reuse window, or as the one
	// retry that the policy allows.
	Resend Verdict = "Resend"
	// Unknown: a person must say how to go on.
	Unknown Verdict = "Unknown"
)

// Observer is what the process that finds an attempt knows.
type Observer struct {
	// Now on the observer's clock.
	Now time.Time
	// SeenSince is when this process first saw this attempt, on its own clock.
	SeenSince time.Time
	// HolderGone is true where the holder is known to have ended.
	HolderGone bool
	// NeverSent is true where the holder is this very process, which knows that
	// it did not come to send the token, or where the attempt's courier says so.
	NeverSent bool
	// UnderWay is true where the attempt's courier waits for the provider's reply.
	UnderWay bool
	// ReuseWindow of the provider.
	ReuseWindow time.Duration
	// Policy of the credential, else of the provider.
	Policy v1alpha1.UnknownOutcomePolicy
}

// Decide what becomes of the attempt in the state. A token whose fate is
// unknown is sent again once at most: inside the reuse window, which is the
// provider's statement that it does no harm, or where the policy allows it.
func (o Observer) Decide(s rotation.State) Verdict {
	attempt := s.Attempt
	inWindow := func() bool { // an attempt from the future shows that the clocks differ, and not how long ago it was
		ago := o.Now.Sub(attempt.Started)
		return ago >= 0 && ago < o.ReuseWindow
	}
	switch {
	case attempt == nil, o.NeverSent && (!attempt.Resend || attempt.Overtaken != ""):
		return Nothing
	case o.UnderWay, !o.HolderGone && o.Now.Sub(o.SeenSince) < HolderTimeout:
		return Wait
	case attempt.Overtaken != "" && attempt.Overtaken == s.RefreshToken.Digest() && o.ReuseWindow > 0:
		return Unknown // the provider may have given it a successor too, in the place of this one
	case attempt.Token != "" && attempt.Token != s.RefreshToken.Digest():
		return Nothing // it stands on a token that is not sent any more
	case attempt.Resend && !o.NeverSent, s.Spent.Contains(attempt.Token):
		return Unknown // and a retry that never left does not clear the first time
	case inWindow(), o.Policy == v1alpha1.RetryOnce:
		return Resend
	default:
		return Unknown
	}
}
