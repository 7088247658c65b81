// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lint says what in a description is most likely a mistake although it compiles. It
// is for whoever writes one: it refuses nothing, and reads nothing but the description.
package lint

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/variable"
)

// Warnings says what in a description is most likely a mistake although it compiles,
// each with its field. spec is what the provider was compiled from. They are for whoever
// writes a description: nothing is refused over them.
func Warnings(p *provider.Provider, spec v1alpha1.ClusterTokenProviderSpec) []string {
	known := variable.Of(spec)
	for _, call := range spec.Prepare {
		known.AddPrepared(call)
	}
	var again []string
	for _, call := range []*v1alpha1.ProviderCall{spec.Refresh, spec.Login} {
		if call != nil {
			again = append(again, variable.Again(*call)...)
		}
	}
	requests, responses := known.In(variable.Scope{Again: again})
	w := &warner{provider: p, requests: requests, responses: responses, variables: samples(p), conditions: map[v1alpha1.Expression]*expression.Expression{}}
	w.rotation(spec.Rotation)
	if spec.Refresh != nil {
		w.call("spec.refresh", *spec.Refresh)
		w.spending("spec.refresh.response", spec.Refresh.Response)
	}
	if spec.Login != nil {
		w.call("spec.login", *spec.Login)
	}
	w.texts(spec)
	return w.warnings
}

// warner gathers warnings about one description.
type warner struct {
	provider            *provider.Provider
	requests, responses *expression.Environment
	variables           map[string]any // samples
	conditions          map[v1alpha1.Expression]*expression.Expression
	warnings            []string
}

// condition compiles one, once; nil: it does not compile.
func (w *warner) condition(source v1alpha1.Expression) *expression.Expression {
	compiled, known := w.conditions[source]
	if !known {
		compiled, _ = w.responses.Condition("", string(source)) // what does not compile has been refused
		w.conditions[source] = compiled
	}
	return compiled
}

func (w *warner) warn(field, format string, arguments ...any) {
	w.warnings = append(w.warnings, field+": "+fmt.Sprintf(format, arguments...))
}

const sample = "sample"

// samples are the values of a credential that brings what it must and no more.
func samples(p *provider.Provider) map[string]any {
	app, login, parameters, outputs := map[string]string{}, map[string]string{}, map[string]string{}, map[string]any{}
	if p.App == v1alpha1.Required {
		app["key"], app["secret"] = sample, sample
	}
	for _, key := range p.LoginKeys {
		login[key] = sample
	}
	for _, each := range p.Declared {
		switch {
		case each.Default != nil:
			parameters[each.Name] = *each.Default
		case each.Required:
			parameters[each.Name] = sample
		}
	}
	for _, name := range p.Outputs {
		outputs[name] = sample
	}
	return map[string]any{
		variable.App: app, variable.RefreshToken: sample, variable.AccessToken: sample, variable.Login: login,
		variable.ClientCertificate: map[string]string{"certificate": sample, "key": sample}, variable.ServiceAccountToken: sample,
		variable.Parameters: parameters, variable.Outputs: outputs, variable.Now: time.Unix(1_800_000_000, 0).UTC(), expression.UUIDKey: sample,
	}
}

// rotation warns of fields that have no effect.
func (w *warner) rotation(spec v1alpha1.Rotation) {
	mode := w.provider.Rotation.Mode
	if w.provider.Rotation.ReuseWindow > 0 && mode != v1alpha1.SingleUse {
		w.warn("spec.rotation.reuseWindow", "a provider that honours a spent token for a while does rotate: write mode: SingleUse beside it")
	}
	if spec.OnUnknownOutcome == v1alpha1.RetryOnce && mode == v1alpha1.Reusable {
		w.warn("spec.rotation.onUnknownOutcome", "it has no effect: the outcome of a Reusable token is never unknown")
	}
}

// call warns of conditions that say nothing.
func (w *warner) call(field string, call v1alpha1.ProviderCall) {
	response := field + ".response"
	if always, known := w.constant(call.Response.Success); known && !always {
		w.warn(response+".success", "it is never true: no reply would count as a success")
	} else if known {
		w.warn(response+".success", "it is always true: an error would count as a success; leave it out for any 2xx status")
	}
	if compiled, err := w.responses.Expression(response, string(call.Response.AccessToken)); err == nil && len(compiled.Variables()) == 0 {
		w.warn(response+".accessToken", "it is the same whatever the reply holds")
	}
	w.rules(response, call.Response.Failures)
}

// rules warns of failure rules that never match, or that come too late. Of those that
// ask for the status alone it is known which they match.
func (w *warner) rules(response string, rules []v1alpha1.FailureRule) {
	covered, by := map[int]int{}, -1 // the statuses that earlier rules match, and the one that matches all
	for i, rule := range rules {
		field := fmt.Sprintf("%s.failures[%d].when", response, i)
		always, known := w.constant(rule.When)
		matched, byStatus := w.matchedStatuses(rule.When)
		shadowed := byStatus && len(matched) > 0 && !slices.ContainsFunc(matched, func(status int) bool { _, is := covered[status]; return !is })
		switch {
		case known && !always:
			w.warn(field, "it is never true")
		case by >= 0:
			w.warn(field, "it is never asked: failures[%d], before it, matches every reply", by)
		case shadowed:
			w.warn(field, "it is never asked: failures[%d], before it, matches the same statuses", covered[matched[0]])
		}
		if known && always && by < 0 {
			by = i
		}
		for _, status := range matched {
			if _, is := covered[status]; !is {
				covered[status] = i
			}
		}
	}
}

// constant tells whether a condition is the same for every reply, and which. It asks of
// those alone that use no variable, or the status and nothing else.
func (w *warner) constant(source v1alpha1.Expression) (value, known bool) {
	compiled := w.condition(source)
	if compiled == nil {
		return false, false
	}
	if len(compiled.Variables()) == 0 {
		return compiled.True(w.variables), true
	}
	matched, byStatus := w.matchedStatuses(source)
	all := len(statusesOf(string(source)))
	return len(matched) == all, byStatus && (len(matched) == 0 || len(matched) == all)
}

// matchedStatuses gives the statuses that a condition matches which asks for nothing else.
func (w *warner) matchedStatuses(source v1alpha1.Expression) (matched []int, byStatus bool) {
	compiled := w.condition(source)
	if compiled == nil || !slices.Equal(compiled.Variables(), []string{variable.Status}) {
		return nil, false
	}
	for _, status := range statusesOf(string(source)) {
		if compiled.True(w.reply(status, nil)) {
			matched = append(matched, status)
		}
	}
	return matched, true
}

var number = regexp.MustCompile(`\d+`)

// statusesOf gives statuses that tell conditions on them apart: the usual ones, and those
// at the numbers that an expression names.
func statusesOf(source string) []int {
	statuses := []int{100, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 412, 413, 415, 422, 423, 425, 428, 429, 451,
		500, 501, 502, 503, 504, 520, 522, 524, 529, 599}
	for _, text := range number.FindAllString(source, 16) {
		var named int
		if _, err := fmt.Sscan(text, &named); err == nil && named >= 100 && named <= 598 {
			statuses = append(statuses, named-1, named, named+1)
		}
	}
	slices.Sort(statuses)
	return slices.Compact(statuses)
}

// reply is the samples with a reply.
func (w *warner) reply(status int, body any) map[string]any {
	w.variables[variable.Status], w.variables[variable.Headers], w.variables[variable.Body] = int64(status), map[string]any{}, body
	return w.variables
}

// spending warns of what loses a refresh token that works once: errors that are never
// recognized, and errors that prove nothing and are taken for a proof.
func (w *warner) spending(response string, spec v1alpha1.ProviderResponse) {
	if w.provider.Rotation.Mode == v1alpha1.Reusable {
		return
	}
	field := response + ".failures"
	hasReason := func(reason string) bool {
		return slices.ContainsFunc(spec.Failures, func(rule v1alpha1.FailureRule) bool { return string(rule.Reason) == reason })
	}
	switch {
	case spec.StandardFailures != "":
	case len(spec.Failures) == 0:
		w.warn(field, "without a rule the outcome of every refused call is unknown, and the credential waits for a person: say which replies prove that nothing was spent, such as {when: body.error == \"invalid_grant\", reason: ReauthorizationRequired}, or take those of RFC 6749 (standardFailures: OAuth2)")
	case !hasReason(v1alpha1.ReauthorizationRequiredReason):
		w.warn(field, "no rule says ReauthorizationRequired: a refresh token that is no longer accepted would not be recognized")
	}
	for i, rule := range spec.Failures {
		compiled := w.condition(rule.When)
		if compiled == nil {
			continue
		}
		for _, status := range []int{500, 502, 503, 504} {
			if slices.ContainsFunc([]any{"", "<html>Bad Gateway</html>", map[string]any{}}, func(body any) bool { return compiled.True(w.reply(status, body)) }) {
				w.warn(fmt.Sprintf("%s[%d].when", field, i), "a plain %d matches it, which a gateway also answers when the provider has spent the refresh token: leave such replies to no rule", status)
				break
			}
		}
	}
}
