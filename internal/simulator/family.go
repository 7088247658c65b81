// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"slices"
	"sync"
	"time"
)

// family is a grant with all its tokens. Lock order: family, then token index.
type family struct {
	mu            sync.Mutex
	grant         Grant
	revoked       bool
	current       *token   // the newest refresh token
	refreshTokens []*token // oldest first, the current one last
	accessTokens  []*token // oldest first, expired ones dropped
	lastUsed      int      // number of the newest refresh token that was used
	issuedRefresh int
	issuedAccess  int
	refreshes     int
	reuses        int
	windowReuses  int
	lastRefresh   time.Time
}

// refusal says why a token was not redeemed.
type refusal string

const (
	accepted     refusal = ""
	unknownToken refusal = "unknown token"
	otherApp     refusal = "token of another app"
	expiredToken refusal = "expired token"
	spentToken   refusal = "spent token"
	revokedGrant refusal = "revoked grant"
)

// terms are what a vendor grants its tokens.
type terms struct {
	rotation        Rotation
	accessLifetime  Duration
	refreshLifetime Duration
	// oneToken: the access token is what the next refresh is asked with.
	oneToken bool
}

// issue is what a refresh or login brings.
type issue struct {
	grant        Grant
	access       string
	refresh      string // the current one, new or not
	refreshIsNew bool
}

// redeem exchanges a refresh token for an access token, as the rotation says.
func (l *ledger) redeem(options *Options, vendor Vendor, app, value string, terms terms) (issue, refusal) {
	found := l.tokens.find(value)
	if found == nil || !found.refresh || found.family.grant.Vendor != vendor {
		l.unknownTokens.Add(1)
		return issue{}, unknownToken
	}
	f, now := found.family, options.Clock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.grant.Rotation != nil {
		own := *f.grant.Rotation
		terms.rotation = own.withDefaults(terms.rotation.Mode, terms.rotation.NewRefreshToken)
	}
	if refused := f.judge(found, app, now, terms.rotation); refused != accepted {
		return issue{grant: f.grant}, refused
	}
	found.uses++
	f.refreshes++
	f.lastUsed = max(f.lastUsed, found.number)
	f.lastRefresh = now
	return l.issue(options, f, found, now, terms), accepted
}

// judge tells whether a refresh token may be redeemed, and counts a reuse. The
// caller holds the lock.
func (f *family) judge(t *token, app string, now time.Time, rotation Rotation) refusal {
	if f.grant.App != app {
		return otherApp
	}
	spent := !t.spent.IsZero()
	inWindow := now.Sub(t.spent) < time.Duration(rotation.ReuseWindow) && t.number >= f.lastUsed
	switch {
	case spent && (!inWindow || f.revoked):
		f.reuses++
		f.revoked = f.revoked || rotation.RevokeOnReuse
		return spentToken
	case f.revoked:
		return revokedGrant
	case !now.Before(t.expires):
		return expiredToken
	case spent:
		f.windowReuses++
	}
	return accepted
}

// issue makes the tokens of one refresh, or of a login where used is nil. The
// caller holds the lock.
func (l *ledger) issue(options *Options, f *family, used *token, now time.Time, terms terms) issue {
	result := issue{grant: f.grant}
	brings := used == nil || terms.rotation.brings(f.refreshes)
	access := f.newAccessToken(l, options, now, terms)
	result.access = access.value
	if brings {
		if used != nil && terms.rotation.Mode == SingleUse {
			for _, old := range []*token{used, f.current} {
				if old.spent.IsZero() {
					old.spent = now
				}
			}
		}
		next := access
		if !terms.oneToken {
			next = f.newRefreshToken(options, "", now, terms.refreshLifetime)
		}
		f.keep(l, options, next)
		result.refreshIsNew = true
	}
	l.tokens.add(access)
	if f.current != nil {
		result.refresh = f.current.value
	}
	return result
}

// newAccessToken makes an access token and drops the expired ones.
func (f *family) newAccessToken(l *ledger, options *Options, now time.Time, terms terms) *token {
	f.issuedAccess++
	t := &token{family: f, number: f.issuedAccess, access: true, refresh: terms.oneToken,
		issued: now, expires: now.Add(time.Duration(terms.accessLifetime))}
	t.value = options.NewToken(TokenRequest{Vendor: f.grant.Vendor, Kind: AccessToken, Grant: f.grant.ID,
		Number: t.number, IssuedAt: now, Lifetime: time.Duration(terms.accessLifetime)})
	for len(f.accessTokens) > 0 && !now.Before(f.accessTokens[0].expires) {
		l.tokens.release(f.accessTokens[0])
		f.accessTokens = f.accessTokens[1:]
	}
	f.accessTokens = append(f.accessTokens, t)
	t.lists++
	return t
}

// newRefreshToken makes a refresh token, of the given text if there is one.
func (f *family) newRefreshToken(options *Options, value string, now time.Time, lifetime Duration) *token {
	t := &token{family: f, value: value, refresh: true, issued: now, expires: now.Add(time.Duration(lifetime))}
	if value == "" {
		t.value = options.NewToken(TokenRequest{Vendor: f.grant.Vendor, Kind: RefreshToken, Grant: f.grant.ID,
			Number: f.issuedRefresh + 1, IssuedAt: now, Lifetime: time.Duration(lifetime)})
	}
	return t
}

// keep makes a refresh token the current one and forgets the oldest beyond the
// history's size.
func (f *family) keep(l *ledger, options *Options, t *token) {
	f.issuedRefresh++
	t.number = f.issuedRefresh
	f.current = t
	f.refreshTokens = append(f.refreshTokens, t)
	t.lists++
	l.tokens.add(t)
	for len(f.refreshTokens) > options.HistorySize {
		l.tokens.release(f.refreshTokens[0])
		f.refreshTokens = f.refreshTokens[1:]
	}
}

// over tells whether no token of the family can be used any more.
func (f *family) over(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	live := func(t *token) bool { return now.Before(t.expires) }
	if f.issuedAccess == 0 { // a login has just begun it
		return false
	}
	return f.revoked || (!slices.ContainsFunc(f.refreshTokens, live) && !slices.ContainsFunc(f.accessTokens, live))
}
