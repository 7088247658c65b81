// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"net/url"
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
	return rotation.Origin{Refresh: callOrigin(in.Provider.Refresh, in, state), Login: callOrigin(in.Provider.Login, in, state)}
}

// callOrigin is where one call goes; empty where there is no such call, or where its URL
// cannot be told from what is at hand: then no request can be built either.
func callOrigin(step *provider.Call, in *inputs.Inputs, state rotation.State) string {
	if step == nil {
		return ""
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
func (c *call) mayGo(step *provider.Call, address *url.URL) error {
	judged := c.origin.Login
	if step == c.job.Inputs.Provider.Refresh {
		judged = c.origin.Refresh
	}
	if judged != "" && originAt(step, c.job.Inputs, address) == judged {
		return nil
	}
	return problem.New(v1alpha1.InvalidParametersReason, "the request cannot be built: the provider's url gives one host now and another then")
}

// admitted is what of a state a call may see: nothing that is bound to another origin.
func (c *call) admitted(step *provider.Call, state rotation.State) rotation.State {
	admits := rotation.Origin.AdmitsLogin
	if step == c.job.Inputs.Provider.Refresh {
		admits = rotation.Origin.AdmitsRefresh
	}
	if !admits(state.TokenOrigin, c.origin) {
		state.Token = token.Token{}
	}
	if !admits(state.Origin, c.origin) {
		state.RefreshToken = secret.Text{}
	}
	return state
}

// Moved says that the refresh token belongs to another origin than spec names now.
func Moved(credential *v1alpha1.TokenCredential, in *inputs.Inputs, state rotation.State) *problem.Problem {
	return problem.New(v1alpha1.ReauthorizationRequiredReason,
		"the refresh token belongs to %s, and spec now asks %s, which is sent nothing of what the other gave or was given: put spec.providerRef and spec.parameters back; or %s",
		state.Origin.Refresh, originOf(in, state).Refresh, reauthorize(credential))
}
