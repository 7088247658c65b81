// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// HolderTimeout is how long a claim may stand without progress, on the
// observer's own clock, before its holder counts as gone. It is longer than an
// exchange (30 s at most) and the fence before it.
const HolderTimeout = 45 * time.Second

// OpenAttempt reports whether a Secret, of which only the metadata is known, is a
// state with an open attempt, and when that was started: zero where the annotation
// cannot be read.
func OpenAttempt(metadata metav1.Object) (started time.Time, open bool) {
	value, open := metadata.GetAnnotations()[v1alpha1.AttemptAnnotation]
	if !open || !isState(metadata) {
		return time.Time{}, false
	}
	started, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, true
	}
	return started, true
}

// Attempt is a claim on the live refresh token.
type Attempt struct {
	// ID is unique to the attempt.
	ID string `json:"id"`
	// Holder is the process that made it.
	Holder string `json:"holder"`
	// Courier is the instance of the courier that is to carry its exchange: it alone can
	// say that it never received it. Empty: none is known.
	Courier string `json:"courier,omitempty"`
	// Started is when, on the holder's clock.
	Started time.Time `json:"started"`
	// Token is the digest of the token that is about to be sent.
	Token string `json:"token"`
	// Resend marks the one retry of a token whose fate is unknown.
	Resend bool `json:"resend,omitempty"`
}

// is reports whether this is the attempt of that ID; nil is none.
func (a *Attempt) is(id string) bool { return id != "" && a != nil && a.ID == id }

// annotate notes the attempt, or that there is none, in the metadata of its Secret.
func (a *Attempt) annotate(metadata *metav1.ObjectMeta) {
	if a == nil {
		delete(metadata.Annotations, v1alpha1.AttemptAnnotation)
		return
	}
	metav1.SetMetaDataAnnotation(metadata, v1alpha1.AttemptAnnotation, a.Started.UTC().Format(time.RFC3339))
}

// Claim announces that the live token is about to be sent. It takes the place of
// the attempt in the state, if there is one: the caller has recovered that.
func (s State) Claim(attempt Attempt) State {
	s.supersede()
	attempt.Token = s.RefreshToken.Digest()
	s.Attempt = &attempt
	return s
}

// Withdraw takes back the claim of that ID: nothing was spent. Where it was to
// retry an attempt of unknown outcome, that one is unresolved and stands again;
// nil: there is none. The claim of anyone else stays.
func (s State) Withdraw(attempt string, unresolved *Attempt) State {
	if s.Attempt.is(attempt) {
		s.supersede()
		s.Attempt = unresolved
	}
	return s
}

// Refuse notes that the provider does not accept the live token any more.
func (s State) Refuse() State {
	s.Refused, s.Proof = s.RefreshToken.Digest(), Proof{}
	return s
}

// IsRefused reports whether that is known of the live token. A user who gives a refresh
// token, be it this one, states that it is good.
func (s State) IsRefused() bool { return s.Refused != "" && s.Refused == s.RefreshToken.Digest() }

// Lose gives up the token of the attempt of that ID: it was spent, and its
// successor never arrived. The claim of anyone else stays, and so does its token.
func (s State) Lose(attempt string) State {
	if s.Attempt.is(attempt) {
		s.Spent = s.Spent.Add(s.Attempt.Token)
		s.supersede()
	}
	return s
}

// Sent returns the token on which the attempt in the state stands, as long as the
// state holds it: a login or a new seed may have replaced it meanwhile.
func (s State) Sent() secret.Text {
	for _, held := range []secret.Text{s.RefreshToken, s.PreviousRefreshToken} {
		if s.Attempt != nil && !held.IsZero() && held.Digest() == s.Attempt.Token {
			return held
		}
	}
	return secret.Text{}
}

// supersede removes the attempt in the state, whosoever it is.
func (s *State) supersede() {
	if s.Attempt != nil {
		s.Attempt, s.ended = nil, s.Attempt.ID
	}
}

// Recovery is what becomes of an attempt that another process left.
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
	// it did not come to send the token, or where the attempt's courier says so.
	NeverSent bool
	// UnderWay is true where the attempt's courier waits for the provider's reply.
	UnderWay bool
	// ReuseWindow of the provider.
	ReuseWindow time.Duration
	// Policy of the credential, else of the provider.
	Policy v1alpha1.UnknownOutcomePolicy
}

// Recover decides what becomes of the attempt in the state. A token whose fate is
// unknown is sent again once at most: inside the reuse window, which is the
// provider's statement that it does no harm, or where the policy allows it.
func (s State) Recover(observer Observer) Recovery {
	attempt := s.Attempt
	inWindow := func() bool { // an attempt from the future shows that the clocks differ, and not how long ago it was
		ago := observer.Now.Sub(attempt.Started)
		return ago >= 0 && ago < observer.ReuseWindow
	}
	switch {
	case attempt == nil, observer.NeverSent && !attempt.Resend:
		return Nothing
	case observer.UnderWay, !observer.HolderGone && observer.Now.Sub(observer.SeenSince) < HolderTimeout:
		return Wait
	case attempt.Token != "" && attempt.Token != s.RefreshToken.Digest():
		return Nothing // it stands on a token that is not sent any more
	case attempt.Resend && !observer.NeverSent, s.Spent.Contains(attempt.Token):
		return Unknown // and a retry that never left does not clear the first time
	case inWindow(), observer.Policy == v1alpha1.RetryOnce:
		return Resend
	default:
		return Unknown
	}
}
