// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"errors"
	"net/http"
	"strings"
	"sync"
)

// Simulator is all simulated providers. It is an http.Handler, safe for
// concurrent use, and runs nothing in the background. What it can be told and asked is in
// its parts.
type Simulator struct {
	*switches
	*registry
	*ledger
	*faultQueue
	*callLog
	authority func() (*authority, error) // made when first asked for
}

// New makes a simulator that knows no app, user or grant yet.
func New(options Options) *Simulator {
	options = options.withDefaults()
	return &Simulator{
		switches: newSwitches(options), registry: newRegistry(), ledger: newLedger(), faultQueue: &faultQueue{},
		callLog: newCallLog(options.LogSize), authority: sync.OnceValues(newAuthority),
	}
}

// Add registers apps, users and grants, and returns the grants with what was
// filled in. An app or user that exists is replaced; a grant that exists, or
// one of an unknown app, is an error, and then nothing is added.
func (s *Simulator) Add(seed Seed) ([]Grant, error) {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if err := errors.Join(s.registry.check(seed), s.ledger.check(seed.Grants)); err != nil {
		return nil, err
	}
	s.registry.add(seed.Apps, seed.Users)
	return s.ledger.add(s.load(), seed.Grants), nil
}

// AccessTokenValid tells whether the provider's API would take the token now.
func (s *Simulator) AccessTokenValid(value string) bool {
	t := s.tokens.find(value)
	if t == nil || !t.access {
		return false
	}
	t.family.mu.Lock()
	defer t.family.mu.Unlock()
	return !t.family.revoked && s.load().Clock().Before(t.expires)
}

// ServeHTTP answers as the provider would that the call is for, and at
// /_simulator/ as itself. A fault that ends the connection panics with
// http.ErrAbortHandler, as net/http wants it.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPrefix) {
		controls{s}.serve(w, r)
		return
	}
	options := s.load()
	call, err := s.newCall(options, r)
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	s.logArrival(&call)
	s.respond(w, r, options, call)
}

// answer acts as the vendor does.
func (s *Simulator) answer(options *Options, call Call) answer {
	switch call.Vendor {
	case MCS:
		return mcs{s}.answer(options, call)
	case Xiaomi:
		return xiaomi{s}.answer(options, call)
	case OracleStore, OracleAdmin:
		return oracle{s}.answer(options, call)
	case OAuth:
		return oauth{s}.answer(options, call)
	default:
		return answer{refusal: "no such endpoint", Reply: jsonReply(http.StatusNotFound, "text/plain", "404 page not found\n")}
	}
}
