// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package described

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Lifetime is what every good reply states, where the description has it read at all.
const Lifetime = 47 * time.Minute

// known is what expressions know beside a reply: the parameters, and the outputs of the
// calls before.
type known struct {
	parameters map[string]string
	outputs    map[string]any
}

// call is what a description says of the replies to one of its calls.
type call struct {
	known        *known
	method       string
	url          *regexp.Regexp
	prefix       string
	format       v1alpha1.ResponseFormat
	success      expression
	accessToken  expression
	refreshToken expression
	lifetimes    []expression
	moments      []expression
	outputs      map[string]expression
	failures     []failure
	message      expression
}

type failure struct {
	when   expression
	reason string
}

func (l language) call(from v1alpha1.ProviderCall, known *known) (*call, error) {
	spec := from.Response
	var problem error
	compile := func(source v1alpha1.Expression) expression {
		compiled, err := l.compile(source)
		if problem == nil {
			problem = err
		}
		return compiled
	}
	c := &call{
		known: known, method: cmp.Or(from.Request.Method, http.MethodPost), url: pattern(from.Request.URL),
		prefix: spec.Prefix, format: spec.Format,
		success: compile(spec.Success), accessToken: compile(spec.AccessToken), refreshToken: compile(spec.RefreshToken),
		lifetimes: []expression{compile(spec.ExpiresIn), compile(spec.RefreshTokenExpiresIn)},
		moments:   []expression{compile(spec.ExpiresAt), compile(spec.RefreshTokenExpiresAt)},
		outputs:   map[string]expression{}, message: compile(spec.Message),
	}
	for name, output := range spec.Outputs {
		c.outputs[name] = compile(output)
	}
	for _, rule := range spec.Failures {
		c.failures = append(c.failures, failure{compile(rule.When), string(rule.Reason)})
	}
	if spec.StandardFailures == v1alpha1.OAuth2Failures {
		for _, rule := range oauth2 {
			c.failures = append(c.failures, failure{compile(rule.When), string(rule.Reason)})
		}
	}
	return c, problem
}

// oauth2 are refusals of RFC 6749 section 5.2, and one for each reason that has none there.
var oauth2 = []v1alpha1.FailureRule{
	{When: `body.error == "invalid_grant"`, Reason: v1alpha1.ReauthorizationRequiredReason},
	{When: `body.error == "invalid_client"`, Reason: v1alpha1.AppRejectedReason},
	{When: `body.error == "invalid_request"`, Reason: v1alpha1.RequestRejectedReason},
	{When: `status == 429`, Reason: v1alpha1.RateLimitedReason},
	{When: `body.error == "temporarily_unavailable"`, Reason: v1alpha1.ProviderUnavailableReason},
}

// grant works out a good reply; an empty refresh token is left out.
func (c *call) grant(access, refresh string, now time.Time) (Reply, error) {
	reply := Reply{Status: http.StatusOK, Headers: map[string]string{}, Body: map[string]any{}}
	if !c.succeeds(reply) {
		found, ok := search(reply, []int{http.StatusOK}, c.success.alsoWith(c.known), c.succeeds)
		if !ok {
			return Reply{}, fmt.Errorf("no reply was found that makes success true")
		}
		reply = found
	}
	var ok bool
	if c.accessToken.isSet() {
		if reply, ok = c.fill(reply, c.accessToken, access); !ok {
			return Reply{}, fmt.Errorf("no reply was found that holds the access token")
		}
	}
	if _, brought := c.refreshToken.value(reply, c.known); refresh != "" && !brought {
		if reply, ok = c.fill(reply, c.refreshToken, refresh); !ok {
			return Reply{}, fmt.Errorf("no reply was found that holds the refresh token")
		}
	}
	for _, field := range c.lifetimes {
		reply, _ = c.fill(reply, field, int64(Lifetime/time.Second))
	}
	for _, field := range c.moments {
		reply, _ = c.fill(reply, field, now.Add(Lifetime).UTC().Format(time.RFC3339))
	}
	for _, name := range slices.Sorted(maps.Keys(c.outputs)) {
		// It may be an address that is called later.
		output := c.outputs[name]
		reply, _ = c.fill(reply, output, "https://the-output.example/"+name)
		if value, ok := output.value(reply, c.known); ok {
			c.known.outputs[name] = value
		}
	}
	return reply, nil
}

// fill sets the first place that a field names and that gives the field its value, and
// leaves a good reply good.
func (c *call) fill(reply Reply, field expression, value any) (filled Reply, ok bool) {
	for _, at := range field.places {
		changed, fits := reply.with(at, value)
		if read, ok := field.value(changed, c.known); fits && ok && read == value && c.succeeds(changed) {
			return changed, true
		}
	}
	return reply, false
}

// refuse works out a reply that the description reads as a reason, with the provider's
// words in it. ok is false where it has no rule for that reason.
func (c *call) refuse(reason, words string) (reply Reply, ok bool) {
	for i, rule := range c.failures {
		if rule.reason != reason {
			continue
		}
		meant := func(reply Reply) bool { return !c.succeeds(reply) && c.rule(reply) == i }
		blank := Reply{Status: http.StatusBadRequest, Headers: map[string]string{}, Body: map[string]any{}}
		reply, ok := search(blank, []int{400, 401, 403, 200, 500}, rule.when.alsoWith(c.known), meant)
		if !ok {
			continue
		}
		for _, at := range c.message.places {
			if worded, fits := reply.with(at, words); fits && meant(worded) {
				return worded, true
			}
		}
		return reply, true
	}
	return Reply{}, false
}

// within finds the expressions of a template whose regular expression has been quoted.
var within = regexp.MustCompile(`\\\$\\\{.*?\\\}`)

// pattern matches what a template of a URL may give. An expression with braces in it makes
// it match more, not less.
func pattern(template string) *regexp.Regexp {
	return regexp.MustCompile("^" + within.ReplaceAllString(regexp.QuoteMeta(template), ".*") + "$")
}

// matches reports whether a request may be this call.
func (c *call) matches(r *http.Request) bool {
	return r.Method == c.method && c.url.MatchString("https://"+r.Host+r.URL.Path)
}

// reasons are those that the failure rules may conclude, each once.
func (c *call) reasons() []string {
	var reasons []string
	for _, rule := range c.failures {
		if !slices.Contains(reasons, rule.reason) {
			reasons = append(reasons, rule.reason)
		}
	}
	return reasons
}

// succeeds reports whether the description takes a reply for a good one.
func (c *call) succeeds(reply Reply) bool {
	if c.success.isSet() {
		return c.success.isTrue(reply, c.known)
	}
	return reply.Status >= 200 && reply.Status < 300 && c.rule(reply) < 0
}

// rule is the number of the first failure rule that matches, or -1.
func (c *call) rule(reply Reply) int {
	return slices.IndexFunc(c.failures, func(rule failure) bool { return rule.when.isTrue(reply, c.known) })
}

// search changes a reply until it is accepted: its status, then one place that the
// condition names, then two. The values that it tries are those that the condition names.
func search(from Reply, statuses []int, condition expression, accepted func(Reply) bool) (Reply, bool) {
	for _, value := range condition.literals {
		if status, ok := value.(int64); ok && status >= 100 && status < 600 {
			statuses = append(statuses, int(status))
		}
	}
	tried := []Reply{}
	for _, status := range statuses {
		from.Status = status
		tried = append(tried, from)
	}
	for changes := range 3 {
		if changes > 0 {
			tried = condition.variations(tried)
		}
		if found := slices.IndexFunc(tried, accepted); found >= 0 {
			return tried[found], true
		}
	}
	return Reply{}, false
}

// variations are replies with one more of the condition's places set to one of its values.
func (e *expression) variations(of []Reply) []Reply {
	var all []Reply
	for _, reply := range of {
		for _, at := range e.places {
			for _, value := range e.literals {
				if changed, fits := reply.with(at, value); fits {
					all = append(all, changed)
				}
			}
		}
	}
	return all
}
