// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lint"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/spelling"
)

func (p *plugin) trial() *cobra.Command {
	file := ""
	var replies, parameters []string
	command := &cobra.Command{
		Use:   "test -f FILE [--reply FILE...] [--parameter NAME=VALUE...]",
		Short: "Compile a provider's description, show its requests, read replies with it",
		Long: `Compile a provider's description, show the requests that it would send, with placeholders
where secrets go, say what in it is likely a mistake, and how it reads replies. Nothing is
sent, and no cluster is needed.

FILE holds a ClusterTokenProvider, or its spec alone. A reply is a file with the status on
its first line, headers if there are any, an empty line, and the body:

  400
  Content-Type: application/json

  {"error":"invalid_grant"}`,
		Example: "  kubectl tokencredential provider test -f provider.yaml --reply refused.txt --parameter host=id.example.com",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			t, err := newTrial(file, parameters, p.clock.Now())
			if err != nil {
				return err
			}
			p.printf("%s", t.requests())
			for _, warning := range t.warnings {
				p.printf("\n%s %s\n", screen.Doubtful.Mark(p.colours), warning)
			}
			for _, name := range replies {
				text, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				reading, err := t.read(text)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				p.printf("\n%s\n%s", name, reading)
			}
			return nil
		},
	}
	command.Flags().StringVarP(&file, "filename", "f", "", "the description")
	command.Flags().StringArrayVar(&replies, "reply", nil, "a reply to read, as the refresh's")
	command.Flags().StringArrayVar(&parameters, "parameter", nil, "a parameter of the credential, as NAME=VALUE")
	_ = command.MarkFlagRequired("filename") // it was just made
	return command
}

// trial is a description with inputs that stand for secrets.
type trial struct {
	provider *provider.Provider
	warnings []string
	inputs   provider.Inputs
	now      time.Time
}

func newTrial(file string, parameters []string, now time.Time) (*trial, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	name, spec, err := readSpec(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
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
	t := &trial{provider: compiled, warnings: lint.Warnings(compiled, spec), now: now.UTC().Truncate(time.Second)}
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

// readSpec reads a ClusterTokenProvider, or its spec alone. An unknown field is an error.
func readSpec(text []byte) (name string, spec v1alpha1.ClusterTokenProviderSpec, err error) {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(text, &kind); err != nil {
		return "", spec, err
	}
	if kind.Kind == "" {
		return "provider", spec, meant(yaml.UnmarshalStrict(text, &spec))
	}
	object := v1alpha1.ClusterTokenProvider{}
	if kind.Kind != "ClusterTokenProvider" {
		return "", spec, fmt.Errorf("it holds a %s, want a ClusterTokenProvider or the spec of one", kind.Kind)
	}
	err = meant(yaml.UnmarshalStrict(text, &object))
	return object.Name, object.Spec, err
}

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// meant says of a field that does not exist which one was meant.
func meant(err error) error {
	if err == nil {
		return nil
	}
	field := unknownField.FindStringSubmatch(err.Error())
	if field == nil {
		return err
	}
	hint := ""
	if near := spelling.Nearest(field[1], fieldsOf(reflect.TypeFor[v1alpha1.ClusterTokenProvider](), map[reflect.Type]bool{})); near != "" {
		hint = fmt.Sprintf(": did you mean %s?", near)
	}
	return fmt.Errorf("there is no field %q%s", field[1], hint)
}

// fieldsOf are the names of a type's fields in JSON, and of all that they hold.
func fieldsOf(t reflect.Type, seen map[reflect.Type]bool) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(append(names, name), fieldsOf(t.Field(i).Type, seen)...)
	}
	return names
}

// step is a call, by its place in the description.
type step struct {
	name string
	call *provider.Call
}

// steps are the calls of a refresh and of a login, in their order.
func (t *trial) steps() []step {
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

// requests shows what would be sent.
func (t *trial) requests() string {
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

func (t *trial) begin(call *provider.Call) *provider.Exchange {
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

// read says how the refresh, or else the login, reads a reply.
func (t *trial) read(text []byte) (string, error) {
	reply, err := parseReply(text)
	if err != nil {
		return "", err
	}
	outcome := t.begin(cmp.Or(t.provider.Refresh, t.provider.Login)).Read(reply)
	var b strings.Builder
	fmt.Fprintf(&b, "  %s", outcome.Reason)
	if outcome.Message != "" {
		fmt.Fprintf(&b, ": %s", outcome.Message)
	}
	b.WriteString("\n")
	grant := outcome.Grant
	for _, part := range []struct {
		is   bool
		text string
	}{
		{!grant.AccessToken.IsZero(), fmt.Sprintf("an access token of %d bytes, type %s", len(grant.AccessToken.Reveal()), grant.Type)},
		{!grant.AccessToken.IsZero() && !grant.ExpiresAt.IsZero(), "which expires " + grant.ExpiresAt.Sub(t.now).Round(time.Second).String() + " later"},
		{!grant.RefreshToken.IsZero(), fmt.Sprintf("another refresh token, of %d bytes", len(grant.RefreshToken.Reveal()))},
		{len(grant.Outputs) > 0, "outputs " + strings.Join(slices.Sorted(maps.Keys(grant.Outputs)), ", ")},
		{outcome.Remark != "", "with a remark: " + outcome.Remark},
		{outcome.RetryAfter > 0, "to be tried again after " + outcome.RetryAfter.String()},
	} {
		if part.is {
			fmt.Fprintf(&b, "  %s\n", part.text)
		}
	}
	return b.String(), nil
}

// parseReply reads a status, headers and a body.
func parseReply(text []byte) (provider.Reply, error) {
	head, body, _ := bytes.Cut(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
	first, rest, _ := strings.Cut(string(head), "\n")
	status, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || status < 100 || status > 599 {
		return provider.Reply{}, fmt.Errorf("its first line is %q, want a status such as 200", first)
	}
	header := textproto.MIMEHeader{}
	if rest != "" {
		header, err = textproto.NewReader(bufio.NewReader(strings.NewReader(rest + "\n\n"))).ReadMIMEHeader()
		if err != nil && !errors.Is(err, io.EOF) {
			return provider.Reply{}, fmt.Errorf("its headers: %w", err)
		}
	}
	return provider.Reply{Status: status, Header: http.Header(header), Body: bytes.TrimSuffix(body, []byte("\n"))}, nil
}
