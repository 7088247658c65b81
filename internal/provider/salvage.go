// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// salvage finds a refresh token in a reply that cannot be read as a whole: one
// that was cut short, or is broken or too deep. That token alone is taken, and
// only where it is there to its closing quote: nothing else of such a reply counts.
func (e *Exchange) salvage(reply Reply, outcome *Outcome) {
	_, text, found := bytes.Cut(reply.Body, []byte("{"))
	if !found {
		return
	}
	body := expression.DecodePartialJSON(append([]byte("{"), text...))
	if text, ok := e.reader(reply, trimKeys(body)).text(e.call.response.refreshToken); ok && text != "" {
		if fresh := secret.New(text); !fresh.Equal(e.inputs.RefreshToken) {
			outcome.Grant = token.Grant{RefreshToken: fresh}
			outcome.Message = "the provider's reply could not be read as a whole; the refresh token in it is kept"
		}
	}
}
