// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/words"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// explain says how the provider answered: with its own words, or where it sends the
// request on to.
func (r *reader) explain(grant token.Grant) string {
	explained := fmt.Sprintf("the provider answered %d", r.status)
	secrets := r.secrets(grant)
	if safe := redact.Message(r.words(), secrets); safe != "" {
		explained += ": " + safe
	}
	if words.IsRedirect(r.status) {
		explained += ", " + words.Redirection(r.header.Get("Location"), secrets)
	}
	return explained
}

// words are the provider's own: what the description says they are, or else what servers
// call them.
func (r *reader) words() string {
	if value, ok := r.variables.of(r.call.Response.Message); ok {
		if text, _ := expression.TextOf(value); text != "" {
			return text
		}
	}
	return words.In(r.variables[variable.Body])
}

// secrets gives every secret of the exchange.
func (r *reader) secrets(grant token.Grant) []string {
	inputs := r.exchange.inputs
	all := []string{inputs.AppKey.Reveal(), inputs.AppSecret.Reveal(), inputs.RefreshToken.Reveal(), inputs.AccessToken.Reveal(),
		grant.AccessToken.Reveal(), grant.RefreshToken.Reveal(), inputs.ClientKey.Reveal(), inputs.ServiceAccountToken.Reveal(),
		inputs.Authorization.Code.Reveal(), inputs.Authorization.CodeVerifier.Reveal(), inputs.Authorization.DeviceCode.Reveal()}
	for _, value := range inputs.Login {
		all = append(all, value.Reveal())
	}
	for _, value := range inputs.Hidden {
		all = append(all, value.Reveal())
	}
	for _, outputs := range []map[string]any{inputs.Outputs, grant.Outputs} {
		for _, value := range outputs {
			// A short output, such as a scope, is no secret.
			if text, ok := value.(string); ok && len(text) >= 8 {
				all = append(all, text)
			}
		}
	}
	if text, ok := r.variables.text(r.call.Response.AccessToken); ok {
		all = append(all, text)
	}
	return all
}
