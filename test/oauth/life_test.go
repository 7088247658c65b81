// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/http"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// rotations in a row, after the first token.
const rotations = 5

func TestALifeWithEachClientAuthentication(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]app{
		"basic":                                withBasic(),
		"post":                                 withPost(),
		"none":                                 withNone(),
		"private_key_jwt with RS256":           withKey(t, "RS256", "", rsaKey(t)),
		"private_key_jwt with PS256 and a kid": withKey(t, "PS256", "the key of 2026", rsaKey(t)),
		"private_key_jwt with ES256":           withKey(t, "ES256", "", ecKey(t)),
		"tls_client_auth":                      withCertificate(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, a)
			w := newWorld(t, a, s.tokenURL(), s.consent(a, time.Hour))
			w.awaitFresh(1)
			for i := range rotations {
				w.askForRefresh()
				w.awaitFresh(int64(i) + 2)
			}
			s.gaveAndTook(w, 1+rotations)
		})
	}
}

// gaveAndTook checks that so many refreshes all went well, that no refresh token was sent
// twice, and that the operator holds what was issued last.
func (s *server) gaveAndTook(w *world, refreshes int) {
	s.t.Helper()
	exchanges, sent := s.seen(), map[string]bool{}
	if len(exchanges) != refreshes {
		s.t.Errorf("the server saw %d refreshes, want %d", len(exchanges), refreshes)
	}
	for i, each := range exchanges {
		if each.status != http.StatusOK {
			s.t.Errorf("refresh %d was answered %d %s", i+1, each.status, each.error)
		}
		if sent[each.sent] {
			s.t.Errorf("refresh %d sent a refresh token that had been sent before", i+1)
		}
		sent[each.sent] = true
	}
	s.serves(w)
}

// serves checks that the operator holds the server's current tokens.
func (s *server) serves(w *world) {
	s.t.Helper()
	if w.live() != s.current() {
		s.t.Error("the state does not hold the server's current refresh token")
	}
	if !s.accepts(w.token()) {
		s.t.Error("the server does not accept the token in the target")
	}
	expires, err := time.Parse(time.RFC3339, w.read(shop, "expires_at"))
	if left := time.Until(expires); err != nil || left > time.Hour+time.Minute || left < 58*time.Minute {
		s.t.Errorf("the target's token expires in %s, want the server's hour", left)
	}
	if scope := w.read(shop, "scope"); scope != "offline photos" {
		s.t.Errorf("the target's scope is %q, not what was granted", scope)
	}
}

// never and eachThird say which refresh gives a new refresh token: they report whether a
// server keeps the old one.
func never(int) bool { return true }

func eachThird(n int) bool { return n%3 != 0 }

func TestALifeWhereTheServerDecidesWhenToRotate(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		keeps  func(number int) bool
		silent bool
		issues int // refresh tokens, the seed among them
	}{
		"never, and each reply repeats the refresh token":  {keeps: never, issues: 1},
		"never, and no reply has a refresh token":          {keeps: never, silent: true, issues: 1},
		"each third time, and the others repeat the token": {keeps: eachThird, issues: 3},
		"each third time, and the others have none":        {keeps: eachThird, silent: true, issues: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := withBasic()
			s := newServer(t, a)
			s.keeps, s.silent = each.keeps, each.silent
			seed := s.consent(a, time.Hour)
			w := newWorld(t, a, s.tokenURL(), seed)
			w.awaitFresh(1)
			for i := range rotations {
				w.askForRefresh()
				w.awaitFresh(int64(i) + 2)
			}
			held := map[string]bool{seed: true, w.live(): true}
			for i, exchange := range s.seen() {
				held[exchange.sent] = true
				if exchange.status != http.StatusOK {
					t.Errorf("refresh %d was answered %d %s", i+1, exchange.status, exchange.error)
				}
			}
			if len(held) != each.issues {
				t.Errorf("the operator held %d refresh tokens in turn, want %d", len(held), each.issues)
			}
			if !s.accepts(w.token()) {
				t.Error("the server does not accept the token in the target")
			}
		})
	}
}

func TestASpentTokenThatIsSentBySomebodyElseEndsTheFamily(t *testing.T) {
	t.Parallel()
	a := withBasic()
	s := newServer(t, a)
	stolen := s.consent(a, time.Hour)
	w := newWorld(t, a, s.tokenURL(), stolen)
	w.awaitFresh(1)
	if thief := refreshOnce(t, a, s.tokenURL(), stolen); thief.Reason != v1alpha1.ReauthorizationRequiredReason {
		t.Fatalf("whoever sends a spent token is told %s: %s", thief.Reason, thief.Message)
	}
	if s.accepts(w.token()) {
		t.Fatal("the server detects no reuse: the family's access token still serves")
	}
	w.askForRefresh()
	w.awaitRefused(v1alpha1.ReauthorizationRequiredReason, true, "The refresh token was already used")
	before := len(s.seen())
	w.authorize(s.consent(a, time.Hour))
	w.awaitFresh(2)
	s.serves(w)
	if asked := len(s.seen()) - before; asked != 1 {
		t.Errorf("the server was asked %d times for the new family's token, want once", asked)
	}
}

func TestAReplyThatIsLostIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]fate{"the connection is cut": isLost, "a gateway answers 502": isReplaced} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := withPost()
			s := newServer(t, a)
			w := newWorld(t, a, s.tokenURL(), s.consent(a, time.Hour))
			w.awaitFresh(1)
			s.meet(lost)
			spent := w.live()
			w.askForRefresh()
			w.awaitRefused(v1alpha1.OutcomeUnknownReason, true, "")
			w.askForRefresh()
			w.awaitLook()
			if w.live() != spent || s.current() == spent {
				t.Error("either the server did not act, or the state does not hold what was sent")
			}
			w.authorize(s.consent(a, time.Hour))
			w.awaitFresh(2)
			s.gaveAndTook(w, 3)
		})
	}
}

func TestARefreshTokenIsKeptFromAReplyThatIsCutBehindIt(t *testing.T) {
	t.Parallel()
	a := withBasic()
	s := newServer(t, a)
	w := newWorld(t, a, s.tokenURL(), s.consent(a, time.Hour))
	w.awaitFresh(1)
	s.meet(isCutBehind(`"scope"`))
	w.askForRefresh()
	w.await("fresh again", func(*v1alpha1.TokenCredential) bool { return len(s.seen()) == 3 && s.accepts(w.token()) })
	w.awaitLook()
	s.gaveAndTook(w, 3)
}
