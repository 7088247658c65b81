// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Simulator is all simulated providers. It is an http.Handler, safe for
// concurrent use, and runs nothing in the background.
type Simulator struct {
	options       atomic.Pointer[Options] // read-only once stored
	configure     sync.Mutex
	registry      *registry
	tokens        *tokenIndex
	faults        faultQueue
	log           *callLog
	unknownTokens atomic.Int64
	authority     func() (*authority, error) // made when first asked for
}

// New makes a simulator that knows no app, user or grant yet.
func New(options Options) *Simulator {
	options = options.withDefaults()
	s := &Simulator{registry: newRegistry(), tokens: newTokenIndex(), log: newCallLog(options.LogSize),
		authority: sync.OnceValues(newAuthority)}
	s.options.Store(&options)
	return s
}

// Options returns the switches as they are, defaults filled in, to
// read.
func (s *Simulator) Options() Options { return *s.options.Load() }

// Configure changes the switches from the next call on. What is set to its zero
// value gets its default. LogSize stays as New had it.
func (s *Simulator) Configure(change func(*Options)) {
	s.configure.Lock()
	defer s.configure.Unlock()
	options := *s.options.Load()
	// The copies let the change be made in place while calls read the old ones.
	options.OAuth.Paths = slices.Clone(options.OAuth.Paths)
	options.OAuth.Extra = maps.Clone(options.OAuth.Extra)
	change(&options)
	options = options.withDefaults()
	s.options.Store(&options)
}

// ServeHTTP answers as the provider would that the call is for, and at
// /_simulator/ as itself. A fault that ends the connection panics with
// http.ErrAbortHandler, as net/http wants it.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPrefix) {
		s.control(w, r)
		return
	}
	options := s.options.Load()
	call, err := s.newCall(options, r)
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	s.log.arrive(&call)
	s.respond(w, r, options, call)
}

// answer acts as the vendor does.
func (s *Simulator) answer(options *Options, call Call) answer {
	switch call.Vendor {
	case MCS:
		return s.answerMCS(options, call)
	case Xiaomi:
		return s.answerXiaomi(options, call)
	case OracleStore, OracleAdmin:
		return s.answerOracle(options, call)
	case OAuth:
		return s.answerOAuth(options, call)
	default:
		return answer{refusal: "no such endpoint", Reply: jsonReply(http.StatusNotFound, "text/plain", "404 page not found\n")}
	}
}
