// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// api is one that checks access tokens with the provider at each call. The last part of
// the path says who calls.
type api struct {
	url   string
	mu    sync.Mutex
	calls map[string]*calls
}

// calls are those of one caller.
type calls struct {
	accepted, refused int
	// tokens are those that the caller has used, in order, and delays how long after
	// its issue each of them came for the first time.
	tokens []string
	delays []time.Duration
	// refusals tell when the first refused calls came, and how the token stood.
	refusals []string
}

func newAPI(url string) *api { return &api{url: url, calls: map[string]*calls{}} }

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	valid := env.simulator.AccessTokenValid(token)
	a.mu.Lock()
	defer a.mu.Unlock()
	caller := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	of := a.calls[caller]
	if of == nil {
		of = &calls{}
		a.calls[caller] = of
	}
	if !slices.Contains(of.tokens, token) {
		of.tokens = append(of.tokens, token)
		if grant, ok := env.simulator.GrantOf(token); ok && grant.AccessToken == token {
			of.delays = append(of.delays, time.Since(grant.LastRefresh))
		}
	}
	if valid {
		of.accepted++
		return
	}
	of.refused++
	if len(of.refusals) < 5 {
		of.refusals = append(of.refusals, time.Now().Format(time.TimeOnly)+", with token number "+ordinal(slices.Index(of.tokens, token)))
	}
	w.WriteHeader(http.StatusUnauthorized)
}

// of are the calls of one caller so far.
func (a *api) of(caller string) calls {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.calls[caller]
	if found == nil {
		return calls{}
	}
	copied := *found
	copied.tokens, copied.delays = slices.Clone(found.tokens), slices.Clone(found.delays)
	return copied
}
