// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// Provider checks a description and makes it ready for use. The error joins every problem
// at once, each with the path of its field.
func Provider(name string, spec v1alpha1.ClusterTokenProviderSpec) (*provider.Provider, error) {
	c := &compiler{spec: spec, problems: &problems{}, known: variable.Of(spec)}
	p := &provider.Provider{
		Name:      name,
		LoginKeys: c.known.LoginKeys(),
		Outputs:   c.known.Published(),
		Declared:  c.parameters(),
		Rotation:  c.rotation(),
		RateLimit: c.rateLimit(),
	}
	bounded := c.patterns(p.Declared)
	lifetimes := c.lifetimes()
	if spec.Refresh == nil && spec.Login == nil {
		c.add("spec", "describe at least one of refresh and login")
	}
	calls := &callCompiler{problems: c.problems, known: c.known, bounded: bounded, lifetimes: lifetimes}
	p.Prepare = calls.prepare(spec.Prepare)
	if spec.Refresh != nil {
		p.Refresh = calls.call("spec.refresh", *spec.Refresh)
		p.Refresh.MaySpend = p.Rotation.Mode != v1alpha1.Reusable
	}
	if spec.Login != nil {
		p.Login = calls.call("spec.login", *spec.Login)
	}
	p.Finish = calls.finish(spec.Finish)
	p.Revoke = calls.revoke(spec.Revoke)
	p.Authorize = calls.authorize(spec.Authorize)
	p.ServiceAccountToken = c.serviceAccountToken()
	p.EarliestRenewal = c.earliestRenewal()
	c.infer(p)
	p.RemembersReply = remembersReply(p)
	if err := c.joined(); err != nil {
		return nil, err
	}
	return p, nil
}

// compiler compiles what is no call, of one description.
type compiler struct {
	*problems
	spec  v1alpha1.ClusterTokenProviderSpec
	known *variable.Known
}
