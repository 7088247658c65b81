// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// GrantState is what became of a grant.
type GrantState struct {
	Grant
	// Current is the refresh token that the provider now goes by: the newest.
	// Empty for client credentials.
	Current   string    `json:"current,omitempty"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"` // of Current
	Revoked   bool      `json:"revoked,omitempty"`
	// Refreshes that were granted, those in the reuse window included; for
	// client credentials the tokens obtained.
	Refreshes int `json:"refreshes"`
	// Reuses is how often a spent token came outside the reuse window, or after
	// the grant was revoked.
	Reuses int `json:"reuses"`
	// WindowReuses is how often one came inside.
	WindowReuses int       `json:"windowReuses"`
	LastRefresh  time.Time `json:"lastRefresh,omitzero"`
	// AccessToken is the newest.
	AccessToken          string    `json:"accessToken,omitempty"`
	AccessTokenExpiresAt time.Time `json:"accessTokenExpiresAt,omitzero"`
	// History of the refresh tokens, oldest first.
	History []TokenState `json:"history,omitempty"`
}

// TokenState is what became of a refresh token.
type TokenState struct {
	Value     string    `json:"value"`
	Number    int       `json:"number"` // in the grant, from 1
	IssuedAt  time.Time `json:"issuedAt"`
	ExpiresAt time.Time `json:"expiresAt"`
	SpentAt   time.Time `json:"spentAt,omitzero"` // by use, or by a use of the one before
	Uses      int       `json:"uses"`             // that were granted
}

// Totals sums up all grants.
type Totals struct {
	Grants       int `json:"grants"`
	Revoked      int `json:"revoked"`
	Refreshes    int `json:"refreshes"`
	Reuses       int `json:"reuses"`
	WindowReuses int `json:"windowReuses"`
	// UnknownTokens is how often a refresh token came that was never issued, or
	// is forgotten.
	UnknownTokens int64 `json:"unknownTokens"`
}

// Grant returns the state of a grant, with its history.
func (l *ledger) Grant(id string) (GrantState, bool) {
	f := l.family(id)
	if f == nil {
		return GrantState{}, false
	}
	return f.state(true), true
}

// GrantOf finds the grant that a refresh or access token is or was of.
func (l *ledger) GrantOf(token string) (GrantState, bool) {
	t := l.tokens.find(token)
	if t == nil {
		return GrantState{}, false
	}
	return t.family.state(true), true
}

// Grants returns the state of every grant without its history, by vendor and
// identifier.
func (l *ledger) Grants() []GrantState {
	families := l.all()
	states := make([]GrantState, 0, len(families))
	for _, f := range families {
		states = append(states, f.state(false))
	}
	slices.SortFunc(states, func(a, b GrantState) int {
		return cmp.Or(strings.Compare(string(a.Vendor), string(b.Vendor)), strings.Compare(a.ID, b.ID))
	})
	return states
}

// Totals sums up all grants.
func (l *ledger) Totals() Totals {
	totals := Totals{UnknownTokens: l.unknownTokens.Load()}
	for _, f := range l.all() {
		state := f.state(false)
		totals.Grants++
		totals.Refreshes += state.Refreshes
		totals.Reuses += state.Reuses
		totals.WindowReuses += state.WindowReuses
		if state.Revoked {
			totals.Revoked++
		}
	}
	return totals
}

// Revoke ends a grant, as a user does who withdraws it, and tells whether there
// is one of that identifier.
func (l *ledger) Revoke(id string) bool {
	f := l.family(id)
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked = true
	return true
}

func (l *ledger) family(id string) *family {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.families[id]
}

func (l *ledger) all() []*family {
	l.mu.RLock()
	defer l.mu.RUnlock()
	families := make([]*family, 0, len(l.families))
	for _, f := range l.families {
		families = append(families, f)
	}
	return families
}

func (f *family) state(history bool) GrantState {
	f.mu.Lock()
	defer f.mu.Unlock()
	state := GrantState{Grant: f.grant, Revoked: f.revoked, Refreshes: f.refreshes, Reuses: f.reuses,
		WindowReuses: f.windowReuses, LastRefresh: f.lastRefresh}
	if f.current != nil {
		state.Current, state.ExpiresAt = f.current.value, f.current.expires
	}
	if n := len(f.accessTokens); n > 0 {
		state.AccessToken, state.AccessTokenExpiresAt = f.accessTokens[n-1].value, f.accessTokens[n-1].expires
	}
	if history {
		for _, t := range f.refreshTokens {
			state.History = append(state.History, TokenState{Value: t.value, Number: t.number,
				IssuedAt: t.issued, ExpiresAt: t.expires, SpentAt: t.spent, Uses: t.uses})
		}
	}
	return state
}
