// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// HolderTimeout is how long a claim may stand without progress, on the
// observer's own clock, before its holder counts as gone. It is longer than an
// exchange (30 s at most) and the fence before it.
const HolderTimeout = 45 * time.Second

// Attempt is a claim on the live refresh token.
type Attempt struct {
	// ID is unique to the attempt.
	ID string `json:"id"`
	// Holder is the process that made it.
	Holder string `json:"holder"`
	// Started is when, on the holder's clock.
	Started time.Time `json:"started"`
	// Token is the digest of the token that is about to be sent.
	Token string `json:"token"`
	// Resend marks the one retry of a token whose fate is unknown.
	Resend bool `json:"resend,omitempty"`
}

// Recovery is what becomes of an attempt that somebody left.
type Recovery string

const (
	// Nothing was left.
	Nothing Recovery = "Nothing"
	// Wait: its holder may still be at it.
	Wait Recovery = "Wait"
	// Resend the same token: inside the provider's reuse window, or as the one
	// retry that the policy allows.
	Resend Recovery = "Resend"
	// Unknown: a person must say how to go on.
	Unknown Recovery = "Unknown"
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
	// it did not come to send the token.
	NeverSent bool
	// ReuseWindow of the provider.
	ReuseWindow time.Duration
	// Policy of the credential, else of the provider.
	Policy v1alpha1.UnknownOutcomePolicy
}

// Recover decides what becomes of the attempt in the state. A token whose fate is
// unknown is sent again once at most: inside the reuse window, which is the
// provider's word that it does no harm, or where the policy allows it.
func (s State) Recover(observer Observer) Recovery {
	attempt := s.Attempt
	inWindow := func() bool { // an attempt from the future tells that the clocks differ, and not how long ago it was
		ago := observer.Now.Sub(attempt.Started)
		return ago >= 0 && ago < observer.ReuseWindow
	}
	switch {
	case attempt == nil, observer.NeverSent && !attempt.Resend:
		return Nothing
	case !observer.HolderGone && observer.Now.Sub(observer.SeenSince) < HolderTimeout:
		return Wait
	case attempt.Resend && !observer.NeverSent, s.Spent.Contains(attempt.Token):
		return Unknown // and a retry that never left does not clear the first time
	case inWindow(), observer.Policy == v1alpha1.RetryOnce:
		return Resend
	default:
		return Unknown
	}
}
