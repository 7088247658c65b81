// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lint"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Trial is a description with inputs that stand for secrets.
type Trial struct {
	// Warnings say what in the description is likely a mistake.
	Warnings []string

	provider *provider.Provider
	inputs   provider.Inputs
	now      time.Time
}

// New compiles a description. Parameters are written NAME=VALUE.
func New(name string, spec v1alpha1.ClusterTokenProviderSpec, parameters []string, now time.Time) (*Trial, error) {
	compiled, err := compile.Provider(name, spec)
	if err != nil {
		return nil, err
	}
	given := map[string]string{}
	for _, each := range parameters {
		name, value, ok := strings.Cut(each, "=")
		if !ok {
			return nil, fmt.Errorf("--parameter %s: write NAME=VALUE", each)
		}
		given[name] = value
	}
	for _, parameter := range spec.Inputs.Parameters {
		if parameter.Required && given[parameter.Name] == "" && parameter.Pattern == "" {
			given[parameter.Name] = strings.ToUpper(parameter.Name)
		}
	}
	checked, err := compiled.Parameters(given)
	if err != nil {
		return nil, fmt.Errorf("give the parameters with --parameter NAME=VALUE: %w", err)
	}
	t := &Trial{provider: compiled, Warnings: lint.Warnings(compiled, spec), now: now.UTC().Truncate(time.Second)}
	t.inputs = provider.Inputs{
		AppKey: standIn("APPKEY", 1), AppSecret: standIn("APPSEC", 1), RefreshToken: standIn("RTOKEN", 1),
		AccessToken: standIn("ATOKEN", 1), Login: map[string]secret.Text{}, Parameters: checked, Outputs: map[string]any{},
	}
	for i, key := range compiled.LoginKeys {
		t.inputs.Login[key] = standIn(strings.ToUpper(key), i+1)
	}
	for _, output := range compiled.Outputs {
		t.inputs.Outputs[output] = "OUTPUT-" + output
	}
	for _, call := range spec.Prepare {
		for output := range call.Response.Outputs { // an endpoint, perhaps
			t.inputs.Outputs[output] = "https://prepared.example/" + output
		}
	}
	return t, nil
}

// standIn stands for a secret. It has no eight characters in common with the words of a
// provider's message, which would be redacted as an echo: "the refresh token has expired".
func standIn(name string, number int) secret.Text {
	return secret.New(fmt.Sprintf("%s-%d", name[:min(6, len(name))], number))
}

// step is a call, by its place in the description.
type step struct {
	name string
	call *provider.Call
}

// steps are the calls of a refresh and of a login, in their order.
func (t *Trial) steps() []step {
	var steps []step
	for i, call := range t.provider.Prepare {
		steps = append(steps, step{fmt.Sprintf("prepare[%d]", i), call})
	}
	for _, each := range []step{{"refresh", t.provider.Refresh}, {"login", t.provider.Login}} {
		if each.call != nil {
			steps = append(steps, each)
		}
	}
	for i, call := range t.provider.Finish {
		steps = append(steps, step{fmt.Sprintf("finish[%d]", i), call})
	}
	return steps
}

// Requests shows what would be sent.
func (t *Trial) Requests() string {
	var b strings.Builder
	for _, step := range t.steps() {
		request, err := t.begin(step.call).Request(context.Background())
		if err != nil {
			fmt.Fprintf(&b, "%s\n  cannot be shown with placeholders: %v\n", step.name, err)
			continue
		}
		fmt.Fprintf(&b, "%s\n%s", step.name, shown(request))
	}
	return b.String()
}

func (t *Trial) begin(call *provider.Call) *provider.Exchange {
	return call.Begin(t.inputs, t.now, "00000000-0000-4000-8000-000000000000")
}

func shown(request *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s %s\n", request.Method, request.URL)
	for _, name := range slices.Sorted(maps.Keys(request.Header)) {
		fmt.Fprintf(&b, "  %s: %s\n", name, strings.Join(request.Header[name], ", "))
	}
	if request.Body != nil {
		body, _ := io.ReadAll(request.Body) // from memory
		fmt.Fprintf(&b, "\n  %s\n", body)
	}
	return b.String()
}
