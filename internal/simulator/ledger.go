// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// ledger holds the grants, with all their tokens.
type ledger struct {
	mu            sync.RWMutex
	families      map[string]*family
	logins        map[registryKey][]*family // by user, or by app for client credentials
	serial        int
	tokens        *tokenIndex
	unknownTokens atomic.Int64
}

func newLedger() *ledger {
	return &ledger{families: map[string]*family{}, logins: map[registryKey][]*family{}, tokens: newTokenIndex()}
}

// check refuses grants that exist. The caller holds the lock.
func (l *ledger) check(grants []Grant) error {
	var problems []error
	ids := map[string]bool{}
	for _, grant := range grants {
		if grant.ID != "" && (l.families[grant.ID] != nil || ids[grant.ID]) {
			problems = append(problems, fmt.Errorf("grant %s exists: choose another id", grant.ID))
		}
		ids[grant.ID] = true
	}
	return errors.Join(problems...)
}

// add registers grants, and returns them with what was filled in. The caller holds the lock.
func (l *ledger) add(options *Options, grants []Grant) []Grant {
	added := make([]Grant, 0, len(grants))
	for _, grant := range grants {
		f := l.addFamily(grant)
		t := f.newRefreshToken(options, f.grant.RefreshToken, options.Clock(),
			cmp.Or(grant.RefreshTokenLifetime, options.refreshLifetime(grant.Vendor)))
		t.access = grant.Vendor == OracleStore || grant.Vendor == OracleAdmin
		f.grant.RefreshToken = t.value // before anybody can find the token
		f.keep(l, options, t)
		added = append(added, f.grant)
	}
	return added
}

// addFamily registers a family without tokens. The caller holds the lock.
func (l *ledger) addFamily(grant Grant) *family {
	for grant.ID == "" {
		l.serial++
		if id := strconv.Itoa(110000 + l.serial); l.families[id] == nil {
			grant.ID = id
		}
	}
	f := &family{grant: grant}
	l.families[grant.ID] = f
	return f
}

// login begins a grant for a user or, where user is empty, finds the one that
// holds an app's client credentials. Grants of earlier logins that are over are
// forgotten.
func (l *ledger) login(options *Options, grant Grant, terms terms) issue {
	now := options.Clock()
	f := l.loginFamily(grant, now)
	f.mu.Lock()
	defer f.mu.Unlock()
	if grant.User == "" { // client credentials bring no refresh token
		f.refreshes++
		f.lastRefresh = now
		access := f.newAccessToken(l, options, now, terms)
		l.tokens.add(access)
		return issue{grant: f.grant, access: access.value}
	}
	return l.issue(options, f, nil, now, terms)
}

func (l *ledger) loginFamily(grant Grant, now time.Time) *family {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := registryKey{grant.Vendor, "user " + grant.User}
	if grant.User == "" {
		key.name = "app " + grant.App
		if earlier := l.logins[key]; len(earlier) > 0 {
			return earlier[0]
		}
	}
	kept := l.logins[key]
	// Looked at only now and then, so that a login stays cheap.
	if len(kept) >= 16 && len(kept)&(len(kept)-1) == 0 {
		kept = slices.DeleteFunc(kept, func(f *family) bool {
			over := f.over(now)
			if over {
				l.forget(f)
			}
			return over
		})
	}
	f := l.addFamily(grant)
	l.logins[key] = append(kept, f)
	return f
}

// forget drops a family and its tokens. The caller holds the ledger's lock.
func (l *ledger) forget(f *family) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range append(slices.Clone(f.refreshTokens), f.accessTokens...) {
		l.tokens.remove(t)
	}
	delete(l.families, f.grant.ID)
}
