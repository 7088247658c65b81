// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package encoding

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/states"
)

var (
	noon = states.Noon
	text = states.Text
	atA  = rotation.Origin{Refresh: "https://a.example", Login: "https://login.a.example"}
	atB  = rotation.Origin{Refresh: "https://b.example", Login: "https://login.b.example"}
)

func firstHop() token.Grant {
	issued := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	return token.Grant{
		Token: token.Token{
			AccessToken: secret.New("first-hop"), Type: "Bearer", Outputs: map[string]any{"level": int64(7), "scope": "a b"},
			Validity: token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(time.Hour)},
		},
		RefreshToken: secret.New("successor"),
		Unfinished:   true,
	}
}
