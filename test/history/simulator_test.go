// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// newSimulator makes a provider that rotates as the variant says.
func (w *world) newSimulator(every int) *simulator.Simulator {
	rotation := simulator.Rotation{
		Mode: simulator.SingleUse, NewRefreshToken: simulator.Always,
		ReuseWindow: simulator.Duration(w.variant.window), RevokeOnReuse: w.variant.revokes,
	}
	switch {
	case w.variant.reusable:
		rotation = simulator.Rotation{Mode: simulator.Reusable, NewRefreshToken: simulator.Never}
	case w.variant.auto == rotatesAtTime:
		rotation.NewRefreshToken, rotation.Every = simulator.Sometimes, every
	case w.variant.auto == neverRotates, w.variant.auto == beginsLater:
		rotation.NewRefreshToken = simulator.Never
	}
	s := simulator.New(simulator.Options{
		Clock: func() time.Time { return w.now },
		NewToken: func(r simulator.TokenRequest) string {
			return fmt.Sprintf("%s-%s-%d", r.Grant, r.Kind, r.Number)
		},
		LogSize: 1,
		OAuth: simulator.OAuthOptions{
			AccessTokenLifetime:  simulator.Duration(lifetime),
			RefreshTokenLifetime: simulator.Duration(1000 * 24 * time.Hour),
			Rotation:             rotation,
		},
	})
	_, err := s.Add(simulator.Seed{Apps: []simulator.App{{Vendor: simulator.OAuth, Key: "app", Secret: appSecret}}})
	if err != nil {
		panic(err)
	}
	return s
}

// beginsToRotate has a server, which has left its tokens as they were for years, give
// another with each refresh, and spend the old one.
func (w *world) beginsToRotate(t *rapid.T) {
	if w.variant.auto != beginsLater {
		t.Skip("this server does not")
	}
	w.rotateFromNowOn()
}

func (w *world) rotateFromNowOn() {
	w.simulator.Configure(func(o *simulator.Options) { o.OAuth.Rotation.NewRefreshToken = simulator.Always })
}

// authorize has the user authorize again: a grant of its own, and its first
// refresh token.
func (w *world) authorize() string {
	w.grants++
	id := fmt.Sprintf("grant%d", w.grants)
	token := id + "-refresh-1"
	_, err := w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{{ID: id, Vendor: simulator.OAuth, App: "app", RefreshToken: token}}})
	if err != nil {
		panic(err)
	}
	w.tokens[token] = &tokenFate{}
	return token
}

// isSpent tells whether a token is spent, and outside the provider's window.
func (w *world) isSpent(grant simulator.GrantState, token string) bool {
	used := 0
	for _, each := range grant.History {
		if each.Uses > 0 {
			used = each.Number
		}
	}
	for _, each := range grant.History {
		if each.Value == token {
			inWindow := w.now.Sub(each.SpentAt) < w.variant.window && each.Number >= used
			return !each.SpentAt.IsZero() && !inWindow
		}
	}
	return true
}
