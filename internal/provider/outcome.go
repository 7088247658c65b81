// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"net/http"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Reply is what came back.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	// CutShort tells that Body is the start of the body alone.
	CutShort bool
	// Flaw says what was wrong with what the body came in, such as its Content-Encoding;
	// empty: nothing.
	Flaw string
}

// Outcome is what a reply means.
type Outcome struct {
	// Reason is v1alpha1.RefreshedReason, one of the reasons that a failure rule
	// may give, or v1alpha1.OutcomeUnknownReason.
	Reason string
	// Message is for people and safe to show; empty on plain success.
	Message string
	// Grant is whatever the reply held, on failure too: an access token that can be
	// used, and a refresh token other than the one that was sent.
	Grant token.Grant
	// RetryAfter is from the header of that name, or from the reply's retryAfter; 0: not
	// stated.
	RetryAfter time.Duration
	// SendAgain tells that nothing was spent and that the same call is to be made once
	// more, at once, with Outputs (Exchange.Again). Reason and Message are what holds
	// where that is not done, or was done before.
	SendAgain bool
	// Outputs are those of the failure rule that asks to send again.
	Outputs map[string]any
	// LifetimeIgnored tells that a stated lifetime could not be used.
	LifetimeIgnored bool
	// EndIsKnown tells that the access token's end was stated in some way, or is declared
	// in the description. Else it is assumed.
	EndIsKnown bool
	// Remark says what was wrong with a reply that could be used all the same, for
	// people and safe to show; empty: nothing.
	Remark string
	// UnkeptRefreshToken is the size, in bytes, of a refresh token in the reply that is
	// too large to be kept; 0: there is none. Where the one that was sent works once,
	// its successor is lost.
	UnkeptRefreshToken int
}

// remark adds to what was wrong with the reply.
func (o *Outcome) remark(remarks ...string) {
	for _, remark := range remarks {
		if remark != "" && !strings.Contains(o.Remark, remark) {
			o.Remark = strings.TrimPrefix(o.Remark+"; "+remark, "; ")
		}
	}
}

// frameIs says what was wrong with what the body came in: as a remark on tokens, or as
// what a failure may come of.
func (o *Outcome) frameIs(flaw string) {
	if o.Reason == v1alpha1.RefreshedReason {
		o.remark("the frame of the provider's reply is wrong: " + flaw)
		return
	}
	o.Message += " (the frame of the reply is wrong: " + flaw + ")"
}
