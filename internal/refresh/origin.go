// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

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

// originOf is where a credential's calls go now.
func originOf(in *inputs.Inputs, state rotation.State) rotation.Origin {
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

// isOnWay reports whether an origin is one of a way.
func isOnWay(way, origin string) bool { return slices.Contains(strings.Split(way, wayJoint), origin) }

// callOrigin is where one call goes; empty where there is no such call, or where its URL
// cannot be told from what is at hand: then no request can be built either.
func callOrigin(step *provider.Call, in *inputs.Inputs, state rotation.State) string {
	if step == nil {
		return ""
	}
	if len(in.Provider.Prepare) > 0 && step.HostFromReply() { // its host may be known only once those calls are made
		return originAt(step, in, nil)
	}
	request := in.Request(state.RefreshToken, state.Token.AccessToken, state.Token.Outputs)
	address, err := step.Begin(request, time.Time{}, "").URL()
	if err != nil {
		return ""
	}
	return originAt(step, in, address)
}

// originAt is the origin of a call's address. Where the last reply has a say in the host,
// the reply's word is the provider's own; what is left for somebody to edit are the
// provider and its parameters, and the origin is those.
func originAt(step *provider.Call, in *inputs.Inputs, address *url.URL) string {
	if step.HostFromReply() {
		return "the provider " + in.Provider.Key + " with the parameters of digest " + in.Source
	}
	return pace.CanonicalOrigin(address)
}

// mayGo refuses a request that goes elsewhere than was judged. It is the last look, at the
// very address that is called.
func (c *call) mayGo(address *url.URL) error {
	judged := c.origin.Login
	if c.isRefresh() {
		judged = c.origin.Refresh
	}
	if c.step == c.job.Inputs.Provider.Revoke {
		judged = c.origin.Revoke
	}
	if judged != "" && isOnWay(judged, originAt(c.step, c.job.Inputs, address)) {
		return nil
	}
	return problem.New(v1alpha1.InvalidParametersReason, "the request cannot be built: the provider's url gives one host now and another then")
}

// admitted is what of a state a call may see: nothing that is bound to another origin.
func (c *call) admitted(state rotation.State) rotation.State {
	admits := rotation.Origin.AdmitsLogin
	if c.isRefresh() {
		admits = rotation.Origin.AdmitsRefresh
	}
	if !admits(state.TokenOrigin, c.origin) || !state.TokenOrigin.AdmitsDiscovered(c.origin.Discovered) {
		state.Token = token.Token{}
	}
	if !admits(state.Origin, c.origin) || !state.Origin.AdmitsDiscovered(c.origin.Discovered) {
		state.RefreshToken = secret.Text{}
	}
	return state
}

// isRefresh reports whether a call is a refresh, or one of those around it.
func (c *call) isRefresh() bool { return c.way == c.job.Inputs.Provider.Refresh }

// discoveredBy are the origins of the calls whose host the prepare calls alone give, in
// the order in which they are made; empty where there are none.
func discoveredBy(in *inputs.Inputs, prepared map[string]any) string {
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

// redirected says that the provider's own documents name other hosts than they did when
// the grant began.
func redirected(credential *v1alpha1.TokenCredential, bound, now rotation.Origin) *problem.Problem {
	return problem.New(v1alpha1.ReauthorizationRequiredReason,
		"the refresh token belongs to %s, and what the provider publishes names %s now, which is sent nothing of what the other gave or was given: ask the provider whether it has moved, and if so, %s",
		bound.Discovered, now.Discovered, reauthorize(credential))
}

// Moved says that the refresh token belongs to another origin than spec names now.
func Moved(credential *v1alpha1.TokenCredential, in *inputs.Inputs, state rotation.State) *problem.Problem {
	return problem.New(v1alpha1.ReauthorizationRequiredReason,
		"the refresh token belongs to %s, and spec now asks %s, which is sent nothing of what the other gave or was given: put spec.providerRef and spec.parameters back; or %s",
		state.Origin.Refresh, originOf(in, state).Refresh, reauthorize(credential))
}
