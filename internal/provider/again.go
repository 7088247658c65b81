// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"maps"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Again is the same call once more, with these outputs over those it had: what its
// reply asked for (Outcome.SendAgain). now stays; id is the value of uuid(), and has to
// be another one, since a provider takes each jti once.
func (e *Exchange) Again(outputs map[string]any, id string) *Exchange {
	inputs := e.inputs
	inputs.Outputs = maps.Clone(inputs.Outputs)
	if inputs.Outputs == nil {
		inputs.Outputs = map[string]any{}
	}
	maps.Copy(inputs.Outputs, outputs)
	return e.call.Begin(inputs, e.now, id)
}

// sendAgain makes of a rule that asks to send again what the caller needs for it. A reply
// that brings another refresh token, or not one of the outputs that the rule names, is
// none to send again after.
func (r *reader) sendAgain(outcome *Outcome) {
	outcome.Reason = v1alpha1.RequestRejectedReason
	outputs := r.outputs(r.matched.outputs)
	switch {
	case len(r.matched.outputs) > 0 && len(outputs) == 0:
		outcome.Message += ", without what the request needs to be sent again"
	case outcome.Grant.RefreshToken.IsZero() && outcome.UnkeptRefreshToken == 0:
		outcome.SendAgain, outcome.Outputs = true, outputs
	}
}
