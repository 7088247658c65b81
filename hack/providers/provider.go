// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
)

// described is what a page tells of a provider.
type described struct {
	Name string
	v1alpha1.ClusterTokenProviderSpec
	compiled *provider.Provider
	Notes    []string          // the paragraphs at the head of its file
	Remarks  []remark          // the comments within
	samples  map[string]string // a value for each required parameter
}

// read reads the built-in providers, by name.
func read(root string) ([]described, error) {
	specs, err := builtin.Specs()
	if err != nil {
		return nil, err
	}
	var all []described
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		each := described{Name: name, ClusterTokenProviderSpec: specs[name]}
		if each.compiled, err = compile.Provider(name, specs[name]); err != nil {
			return nil, fmt.Errorf("%s does not compile: %w", name, err)
		}
		folder := filepath.Join(root, "internal", "provider", "builtin")
		text, err := os.ReadFile(filepath.Join(folder, name+".yaml"))
		if err != nil {
			return nil, err
		}
		each.Notes, each.Remarks = comments(string(text))
		each.linkThePageBelow()
		if each.samples, err = samples(filepath.Join(folder, "testdata", name+".yaml"), each.Inputs.Parameters); err != nil {
			return nil, err
		}
		all = append(all, each)
	}
	return all, nil
}

// linkThePageBelow is for comments that name the page of the field documentation like that.
func (d *described) linkThePageBelow() {
	link := func(text string) string {
		return strings.ReplaceAll(text, "the page below", "[the provider's own page]("+d.Documentation+")")
	}
	for i := range d.Notes {
		d.Notes[i] = link(d.Notes[i])
	}
	for i := range d.Remarks {
		d.Remarks[i].Text = link(d.Remarks[i].Text)
	}
}

// samples gives the required parameters values that somebody might type: of those in the
// conversations the shortest without white space.
func samples(path string, parameters []v1alpha1.ProviderParameter) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Conversations []struct {
			Inputs struct {
				Parameters map[string]string `json:"parameters"`
			} `json:"inputs"`
		} `json:"conversations"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	chosen := map[string]string{}
	for _, parameter := range parameters {
		var values []string
		for _, conversation := range file.Conversations {
			if value := conversation.Inputs.Parameters[parameter.Name]; value != "" && !strings.Contains(value, " ") {
				values = append(values, value)
			}
		}
		if !parameter.Required {
			continue
		}
		if len(values) == 0 {
			return nil, fmt.Errorf("%s: no conversation has a value without white space for %s, to show as a sample", path, parameter.Name)
		}
		chosen[parameter.Name] = slices.MinFunc(values, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	}
	return chosen, nil
}

// requirement says in words whether an input is needed.
func requirement(of v1alpha1.InputRequirement) string {
	return map[v1alpha1.InputRequirement]string{v1alpha1.Required: "required", v1alpha1.Optional: "optional"}[of]
}

// App and RefreshToken are required, optional or empty.
func (d described) App() string          { return requirement(d.compiled.App) }
func (d described) RefreshToken() string { return requirement(d.compiled.RefreshToken) }

// Certificate is required, optional or empty.
func (d described) Certificate() string { return requirement(d.compiled.ClientCertificate) }

// ServiceAccount reports whether a token of a service account is asked for.
func (d described) ServiceAccount() bool { return d.compiled.ServiceAccountToken != nil }

// Logins are the keys of the login Secret.
func (d described) Logins() []string { return d.compiled.LoginKeys }

// StartsWith says what a credential must have for its first token.
func (d described) StartsWith() string {
	var parts []string
	if d.compiled.App == v1alpha1.Required {
		parts = append(parts, "app")
	}
	if d.compiled.ClientCertificate == v1alpha1.Required {
		parts = append(parts, "client certificate")
	}
	if d.ServiceAccount() {
		parts = append(parts, "service account")
	}
	keys := code(d.Logins())
	switch {
	case d.compiled.RefreshToken == v1alpha1.Required:
		parts = append(parts, "refresh token")
	case len(d.Logins()) > 0 && d.compiled.RefreshToken == v1alpha1.Optional:
		parts = append(parts, keys+" or refresh token")
	case len(d.Logins()) > 0:
		parts = append(parts, keys)
	}
	return strings.Join(parts, ", ")
}

// Targets are the keys of the target Secret.
func (d described) Targets() []string {
	return append([]string{"access_token", "token_type", "expires_at"}, d.compiled.Outputs...)
}

// RequiredParameters are those that every credential sets, by name.
func (d described) RequiredParameters() []string { return d.parameters(true) }

// ParametersInShort are all of them, the required ones in bold.
func (d described) ParametersInShort() string {
	var all []string
	for _, name := range d.parameters(true) {
		all = append(all, "**`"+name+"`**")
	}
	if optional := d.parameters(false); len(optional) > 0 || len(all) == 0 {
		all = append(all, code(optional))
	}
	return strings.Join(all, ", ")
}

func (d described) parameters(required bool) []string {
	var names []string
	for _, parameter := range d.Inputs.Parameters {
		if parameter.Required == required {
			names = append(names, parameter.Name)
		}
	}
	return names
}

// Sample is a value for a required parameter.
func (d described) Sample(parameter string) string { return d.samples[parameter] }

// Calls are the requests in their order, each as its method and URL.
func (d described) Calls() []string {
	var calls []string
	for _, call := range slices.Concat(d.Prepare, given(d.Login, d.Refresh), d.Finish) {
		text := cmp.Or(call.Request.Method, "POST") + " " + call.Request.URL
		if !slices.Contains(calls, text) {
			calls = append(calls, text)
		}
	}
	return calls
}

// AccessTokenLife and RefreshTokenLife say how long the tokens live.
func (d described) AccessTokenLife() string {
	return life(d.stated(func(r v1alpha1.ProviderResponse) bool { return r.ExpiresIn != "" || r.ExpiresAt != "" }), d.Lifetime.AccessToken.OrDefault(time.Hour))
}

// RefreshTokenLife says how long the refresh token lives.
func (d described) RefreshTokenLife() string {
	return life(d.stated(func(r v1alpha1.ProviderResponse) bool {
		return r.RefreshTokenExpiresIn != "" || r.RefreshTokenExpiresAt != ""
	}), d.Lifetime.RefreshToken.OrDefault(0))
}

func (d described) stated(by func(v1alpha1.ProviderResponse) bool) bool {
	return slices.ContainsFunc(given(d.Refresh, d.Login), func(call v1alpha1.ProviderCall) bool {
		return by(call.Response)
	})
}

// given are those of some calls that are described.
func given(calls ...*v1alpha1.ProviderCall) []v1alpha1.ProviderCall {
	var all []v1alpha1.ProviderCall
	for _, call := range calls {
		if call != nil {
			all = append(all, *call)
		}
	}
	return all
}

func life(stated bool, otherwise time.Duration) string {
	switch {
	case stated && otherwise > 0:
		return "as the reply says; " + span(otherwise) + " where it does not"
	case stated:
		return "as the reply says"
	case otherwise > 0:
		return span(otherwise)
	}
	return "not known"
}

// span writes a duration in the largest unit that it is a whole number of.
func span(of time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{365 * 24 * time.Hour, "year"}, {24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if of%unit.length == 0 {
			if count := of / unit.length; count != 1 {
				return fmt.Sprintf("%d %ss", count, unit.name)
			}
			return "1 " + unit.name
		}
	}
	return of.String()
}
