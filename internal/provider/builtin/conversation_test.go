// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package builtin_test

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// file is a conversation file: testdata/<built-in>.yaml, or
// testdata/others/<name>.yaml with the spec of a provider that does not ship.
type file struct {
	Spec          *v1alpha1.ClusterTokenProviderSpec `json:"spec"`
	Conversations []conversation                     `json:"conversations"`
}

// conversation is what goes out for some inputs, and what replies to it mean.
type conversation struct {
	Name         string  `json:"name"`
	Call         string  `json:"call"` // refresh (default), login, prepare[0], finish[0], ... or revoke
	Inputs       inputs  `json:"inputs"`
	Request      string  `json:"request"`      // method, URL, headers, an empty line, body
	RequestError string  `json:"requestError"` // instead of a request
	Replies      []reply `json:"replies"`
}

type inputs struct {
	AppKey       string            `json:"appKey"`
	AppSecret    string            `json:"appSecret"`
	RefreshToken string            `json:"refreshToken"`
	AccessToken  string            `json:"accessToken"`
	Login        map[string]string `json:"login"`
	Parameters   map[string]string `json:"parameters"`
	Outputs      map[string]any    `json:"outputs"`

	ClientCertificate   string `json:"clientCertificate"`
	ClientKey           string `json:"clientKey"`
	ServiceAccountToken string `json:"serviceAccountToken"`
}

// reply is what comes back (status, headers, an empty line, body) and what the
// engine makes of it.
type reply struct {
	Name    string  `json:"name"`
	Reply   string  `json:"reply"`
	Outcome outcome `json:"outcome"`
}

// outcome is provider.Outcome as a person writes it. The token's type and
// lifetime are compared only where there is a token.
type outcome struct {
	Reason                string         `json:"reason"`
	Message               string         `json:"message"`
	AccessToken           string         `json:"accessToken"`
	TokenType             string         `json:"tokenType"`
	ExpiresIn             string         `json:"expiresIn"`
	RefreshToken          string         `json:"refreshToken"`
	RefreshTokenExpiresIn string         `json:"refreshTokenExpiresIn"`
	Outputs               map[string]any `json:"outputs"`
	RetryAfter            string         `json:"retryAfter"`
	LifetimeIgnored       bool           `json:"lifetimeIgnored"`
	SendAgain             map[string]any `json:"sendAgain"` // the outputs to send again with
}

// now is 2026-01-02T03:04:05Z in every conversation, and uuid() is exchangeID.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const exchangeID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"

func TestConversations(t *testing.T) {
	t.Parallel()
	specs, err := builtin.Specs()
	if err != nil {
		t.Fatal(err)
	}
	for name, spec := range specs {
		path := filepath.Join("testdata", name+".yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, name, spec, load(t, path))
		})
	}
}

func TestProvidersThatTheLanguageCanDescribe(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/others/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no provider to try: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := load(t, path)
			if file.Spec == nil {
				t.Fatal("the file has no spec")
			}
			play(t, name, *file.Spec, file)
		})
	}
}

func load(t *testing.T, path string) file {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("every provider has a conversation: %v", err)
	}
	var file file
	if err := yaml.UnmarshalStrict(content, &file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(file.Conversations) == 0 {
		t.Fatalf("%s: no conversations", path)
	}
	return file
}

func play(t *testing.T, name string, spec v1alpha1.ClusterTokenProviderSpec, file file) {
	t.Helper()
	p, err := compile.Provider(name, spec)
	if err != nil {
		t.Fatalf("the provider does not compile:\n%v", err)
	}
	for _, conversation := range file.Conversations {
		t.Run(conversation.Name, func(t *testing.T) {
			t.Parallel()
			converse(t, p, conversation)
		})
	}
}

func converse(t *testing.T, p *provider.Provider, c conversation) {
	t.Helper()
	parameters, err := p.Parameters(c.Inputs.Parameters)
	if err != nil {
		t.Fatalf("parameters: %v", err)
	}
	call := calls(p)[cmp.Or(c.Call, "refresh")]
	if call == nil {
		t.Fatalf("the provider has no call %s", c.Call)
	}
	in := c.Inputs.given(parameters)
	exchange := call.Begin(in, now, exchangeID)
	request, err := exchange.Request(t.Context())
	if c.RequestError != "" {
		if err == nil || !strings.Contains(err.Error(), c.RequestError) {
			t.Fatalf("error of the request: got %v, want one with %q", err, c.RequestError)
		}
		return
	}
	if err != nil {
		t.Fatalf("request: %v", err)
	}
	if request.GetBody != nil {
		t.Error("the transport could send the body again")
	}
	got := sent(t, request)
	if strings.Contains(c.Request, anySignature) {
		got = signature.ReplaceAllString(got, "$1"+anySignature)
	}
	if diff := gocmp.Diff(strings.TrimSuffix(c.Request, "\n"), got); diff != "" {
		t.Errorf("what is sent (-want +got):\n%s", diff)
	}
	for _, reply := range c.Replies {
		t.Run(reply.Name, func(t *testing.T) {
			got := shown(call.Begin(in, now, exchangeID).Read(received(t, reply.Reply)))
			want := reply.Outcome
			if want.AccessToken == "" {
				got.TokenType, got.ExpiresIn = "", ""
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// anySignature stands in a request for the signature of a JWT that is another one each time.
const anySignature = "[signature]"

// signature finds that of a JWT.
var signature = regexp.MustCompile(`(eyJ[\w-]+\.eyJ[\w-]+\.)[\w-]+`)

// calls are those of a provider, by their place in its description.
func calls(p *provider.Provider) map[string]*provider.Call {
	all := map[string]*provider.Call{"refresh": p.Refresh, "login": p.Login, "revoke": p.Revoke}
	for i, call := range p.Prepare {
		all[fmt.Sprintf("prepare[%d]", i)] = call
	}
	for i, call := range p.Finish {
		all[fmt.Sprintf("finish[%d]", i)] = call
	}
	return all
}

// given is what the engine gets.
func (in inputs) given(parameters map[string]string) provider.Inputs {
	given := provider.Inputs{
		AppKey: secret.New(in.AppKey), AppSecret: secret.New(in.AppSecret),
		RefreshToken: secret.New(in.RefreshToken), AccessToken: secret.New(in.AccessToken),
		ClientCertificate: secret.New(in.ClientCertificate), ClientKey: secret.New(in.ClientKey),
		ServiceAccountToken: secret.New(in.ServiceAccountToken),
		Login:               map[string]secret.Text{}, Parameters: parameters, Outputs: in.Outputs,
	}
	for key, value := range in.Login {
		given.Login[key] = secret.New(value)
	}
	return given
}

// sent writes a request as the conversation files do.
func sent(t *testing.T, request *http.Request) string {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s\n", request.Method, request.URL)
	for _, name := range slices.Sorted(maps.Keys(request.Header)) {
		for _, value := range request.Header[name] {
			fmt.Fprintf(&text, "%s: %s\n", name, value)
		}
	}
	if request.Body == nil {
		return strings.TrimSuffix(text.String(), "\n")
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(body)) != request.ContentLength {
		t.Errorf("Content-Length is %d of a body of %d bytes", request.ContentLength, len(body))
	}
	return text.String() + "\n" + string(body)
}

// received reads a reply as the conversation files write it.
func received(t *testing.T, text string) provider.Reply {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	status, err := strconv.Atoi(lines[0])
	if err != nil {
		t.Fatalf("a reply begins with its status: %v", err)
	}
	reply := provider.Reply{Status: status, Header: http.Header{}, Body: []byte(body)}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		reply.Header.Add(name, value)
	}
	return reply
}

func shown(o provider.Outcome) outcome {
	shown := outcome{
		Reason: o.Reason, Message: o.Message, LifetimeIgnored: o.LifetimeIgnored,
		AccessToken: o.Grant.AccessToken.Reveal(), TokenType: o.Grant.Type, RefreshToken: o.Grant.RefreshToken.Reveal(),
		ExpiresIn: o.Grant.ExpiresAt.Sub(o.Grant.IssuedAt).String(),
	}
	if len(o.Grant.Outputs) > 0 {
		shown.Outputs = map[string]any{}
		for name, value := range o.Grant.Outputs {
			if integer, ok := value.(int64); ok {
				value = float64(integer) // as YAML gives it
			}
			shown.Outputs[name] = value
		}
	}
	if o.SendAgain {
		shown.SendAgain = o.Outputs
	}
	if !o.Grant.RefreshTokenExpiresAt.IsZero() {
		shown.RefreshTokenExpiresIn = o.Grant.RefreshTokenExpiresAt.Sub(o.Grant.IssuedAt).String()
	}
	if o.RetryAfter > 0 {
		shown.RetryAfter = o.RetryAfter.String()
	}
	return shown
}
