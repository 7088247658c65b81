// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package route is where the calls of a credential's provider go: what a grant is bound
// to, and what may be sent nowhere else.
package route

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// OriginOf is where a credential's calls go now.
func OriginOf(in *inputs.Inputs, state rotation.State) rotation.Origin {
	return rotation.Origin{
		Refresh: wayOf(in.Provider.Refresh, in, state),
		Login:   wayOf(in.Provider.Login, in, state),
		Revoke:  callOrigin(in.Provider.Revoke, in, state),
	}
}

// wayJoint joins the origins of a way.
const wayJoint = " and "

// wayOf is where a refresh or a login goes, with the calls before and after it: all of
// them see what the grant gave, or was given.
func wayOf(step *provider.Call, in *inputs.Inputs, state rotation.State) string {
	origin := callOrigin(step, in, state)
	if origin == "" {
		return ""
	}
	way := []string{origin}
	for _, around := range slices.Concat(in.Provider.Prepare, in.Provider.Finish) {
		if origin := callOrigin(around, in, state); origin != "" && !slices.Contains(way, origin) {
			way = append(way, origin)
		}
	}
	return strings.Join(way, wayJoint)
}

// IsOn reports whether an origin is one of a way.
func IsOn(way, origin string) bool { return slices.Contains(strings.Split(way, wayJoint), origin) }

// callOrigin is where one call goes; empty where there is no such call, or where its URL
// cannot be told from what is at hand: then no request can be built either.
func callOrigin(step *provider.Call, in *inputs.Inputs, state rotation.State) string {
	if step == nil {
		return ""
	}
	if len(in.Provider.Prepare) > 0 && step.HostFromReply() { // its host may be known only once those calls are made
		return OriginAt(step, in, nil)
	}
	request := in.Request(state.RefreshToken, state.Token.AccessToken, state.Token.Outputs)
	address, err := step.Begin(request, time.Time{}, "").URL()
	if err != nil {
		return ""
	}
	return OriginAt(step, in, address)
}

// OriginAt is the origin of a call's address. Where the last reply has a say in the host,
// the reply's word is the provider's own; what is left for somebody to edit are the
// provider and its parameters, and the origin is those.
func OriginAt(step *provider.Call, in *inputs.Inputs, address *url.URL) string {
	if step.HostFromReply() {
		return "the provider " + in.Provider.Key + " with the parameters of digest " + in.Source
	}
	return pace.CanonicalOrigin(address)
}

// Discovered are the origins of the calls whose host the prepare calls alone give, in
// the order in which they are made; empty where there are none.
func Discovered(in *inputs.Inputs, prepared map[string]any) string {
	if len(in.Provider.Prepare) == 0 {
		return ""
	}
	var origins []string
	for _, step := range append([]*provider.Call{in.Provider.Refresh, in.Provider.Login, in.Provider.Revoke}, in.Provider.Finish...) {
		if step == nil || !step.HostFromReply() {
			continue
		}
		// Where the last reply has a say, that is the provider's own word, and no URL comes
		// of this.
		address, err := step.Begin(in.Request(secret.Text{}, secret.Text{}, prepared), time.Time{}, "").URL()
		if err != nil {
			continue
		}
		if origin := pace.CanonicalOrigin(address); !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return strings.Join(origins, wayJoint)
}

// OfGrant is the call by which a grant goes on.
func OfGrant(in *inputs.Inputs) *provider.Call {
	if in.Provider.Refresh != nil {
		return in.Provider.Refresh
	}
	return in.Provider.Login
}

// MayRevoke reports whether what is bound to an origin may be sent to where a grant is
// revoked now: where that was when the grant began, or where its refresh goes, for a grant
// that is older than the revoke call of its provider.
func MayRevoke(bound, now rotation.Origin) bool {
	if !bound.IsZero() && !bound.AdmitsRefresh(now) || !bound.AdmitsDiscovered(now.Discovered) {
		return false
	}
	return bound.IsZero() || bound.Revoke == now.Revoke || bound.Revoke == "" && IsOn(bound.Refresh, now.Revoke)
}

// Leg is one call, on the way of a refresh or a login.
type Leg struct {
	Inputs *inputs.Inputs
	// Origin is where the provider's calls go.
	Origin rotation.Origin
	// Way is the refresh or the login that the call is, or belongs to; Step is the call.
	Way, Step *provider.Call
}

// MayGo refuses a request that goes elsewhere than was judged. It is the last look, at the
// very address that is called.
func (l Leg) MayGo(address *url.URL) error {
	judged := l.Origin.Login
	if l.isRefresh() {
		judged = l.Origin.Refresh
	}
	if l.Step == l.Inputs.Provider.Revoke {
		judged = l.Origin.Revoke
	}
	if judged != "" && IsOn(judged, OriginAt(l.Step, l.Inputs, address)) {
		return nil
	}
	return problem.New(v1alpha1.InvalidParametersReason, "the request cannot be built: the provider's url gives one host now and another then")
}

// Admitted is what of a state a call may see: nothing that is bound to another origin.
func (l Leg) Admitted(state rotation.State) rotation.State {
	admits := rotation.Origin.AdmitsLogin
	if l.isRefresh() {
		admits = rotation.Origin.AdmitsRefresh
	}
	if !admits(state.TokenOrigin, l.Origin) || !state.TokenOrigin.AdmitsDiscovered(l.Origin.Discovered) {
		state.Token = token.Token{}
	}
	if !admits(state.Origin, l.Origin) || !state.Origin.AdmitsDiscovered(l.Origin.Discovered) {
		state.RefreshToken = secret.Text{}
	}
	return state
}

// isRefresh reports whether the call is a refresh, or one of those around it.
func (l Leg) isRefresh() bool { return l.Way == l.Inputs.Provider.Refresh }
