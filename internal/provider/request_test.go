// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// onTheWire writes a request as HTTP/1.1 does, with the lines of its head and its body.
func onTheWire(t *testing.T, request *http.Request) (head []string, body string) {
	t.Helper()
	var wire bytes.Buffer
	if err := request.Write(&wire); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(&wire)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		head = append(head, line)
	}
	rest, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return head, string(rest)
}

func TestHeadersAreSpelledAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a request that is spelled in its own way")
	p := compiled(t, `
refresh:
  request:
    url: https://x.example/token
    basicAuth: {username: u, password: p}
    json: {}
    headers: {X-API-ID: "1", accessToken: "2", ACCEPT: text/plain, user-agent: shop/1, content-type: application/vnd.x+json, authorization: Bearer t}
  response: {accessToken: body.a}`)
	request, err := p.Refresh.Begin(inputs(), now, "id").Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, _ := onTheWire(t, request)
	want := []string{"POST /token HTTP/1.1", "Host: x.example", "Content-Length: 2", "ACCEPT: text/plain", "X-API-ID: 1", "accessToken: 2", "authorization: Bearer t", "content-type: application/vnd.x+json", "user-agent: shop/1"}
	if diff := cmp.Diff(want, head); diff != "" {
		t.Errorf("each once, as it is written (-want +got):\n%s", diff)
	}
}

func TestAListRepeatsItsKey(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a request that is spelled in its own way")
	p := compiled(t, `
inputs: {parameters: [{name: scopes}]}
refresh:
  request:
    url: https://x.example/token?fixed=1
    query: {resource: '${parameters.scopes.split(" ")}', none: "${[]}", gone: "${optional.none()}"}
    form: {scope: '${["b", "a", 1, null]}', one: '${["x"]}', text: 'x${1}'}
  response: {accessToken: body.a}`)
	in := inputs()
	in.Parameters = map[string]string{"scopes": "z y"}
	request, err := p.Refresh.Begin(in, now, "id").Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, body := onTheWire(t, request)
	if diff := cmp.Diff("POST /token?fixed=1&resource=z&resource=y HTTP/1.1", head[0]); diff != "" {
		t.Errorf("the order is kept, an empty list is left out (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("one=x&scope=b&scope=a&scope=1&text=x1", body); diff != "" {
		t.Errorf("the order is kept, null is left out (-want +got):\n%s", diff)
	}
	for name, value := range map[string]string{"a list in a list": "${[[1]]}", "a map": "${{'a': 1}}"} {
		p := compiled(t, `refresh: {request: {url: "https://x/", form: {a: "`+value+`"}}, response: {accessToken: body.a}}`)
		_, err := p.Refresh.Begin(in, now, "id").Request(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), "spec.refresh.request.form.a:1:3: it gives a list or a map where a text, or a list of texts, is needed") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	p = compiled(t, `refresh: {request: {url: "https://x/", headers: {A: "${['a']}"}}, response: {accessToken: body.a}}`)
	if _, err := p.Refresh.Begin(in, now, "id").Request(t.Context()); err == nil {
		t.Error("a header has one value")
	}
}

func TestWhatARequestMaySend(t *testing.T) {
	t.Parallel()
	p := compiled(t, `
inputs: {login: [hub_key], serviceAccountToken: {audience: a}, clientCertificate: Optional}
refresh:
  request:
    url: https://x.example/token
    form:
      key: ${login.hub_key}
      subject_token: ${serviceAccountToken}
      certificate: ${clientCertificate.?certificate}
      private: ${clientCertificate.?key}
  response: {accessToken: body.a, message: body.message}`)
	in := provider.Inputs{Login: map[string]secret.Text{"hub_key": secret.New("canary-hub")}, ServiceAccountToken: secret.New("canary-service"),
		ClientCertificate: secret.New("certificate"), ClientKey: secret.New("canary-private")}
	request, err := p.Refresh.Begin(in, now, "id").Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, body := onTheWire(t, request)
	if diff := cmp.Diff("certificate=certificate&key=canary-hub&private=canary-private&subject_token=canary-service", body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	outcome := p.Refresh.Begin(in, now, "id").Read(reply(400, `{"message":"canary-hub, canary-service, canary-private"}`))
	if strings.Contains(outcome.Message, "canary") {
		t.Errorf("the message quotes a secret: %s", outcome.Message)
	}
	without, err := p.Refresh.Begin(provider.Inputs{Login: in.Login}, now, "id").Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, body := onTheWire(t, without); body != "key=canary-hub&subject_token=" {
		t.Errorf("a certificate that is not there is left out: got %q", body)
	}
}
