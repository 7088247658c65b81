// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package builtin_test

import (
	"context"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator/described"
)

// life is one credential of a provider.
type life struct {
	provider *provider.Provider
	server   *described.Server
	client   *http.Client
	inputs   provider.Inputs
}

func begin(t *testing.T, compiled *provider.Provider, spec v1alpha1.ClusterTokenProviderSpec, conversations []conversation) *life {
	t.Helper()
	first := conversations[0].Inputs
	parameters, err := compiled.Parameters(first.Parameters)
	if err != nil {
		t.Fatal(err)
	}
	server, err := described.New(spec, parameters, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	l := &life{provider: compiled, server: server, client: clientOf(t, server)}
	l.inputs = first.given(parameters)
	l.inputs.AppKey, l.inputs.AppSecret = secret.New("the-key-of-the-app"), canary("the-secret-of-the-app", first.AppSecret)
	l.inputs.RefreshToken, l.inputs.AccessToken, l.inputs.Outputs = secret.Text{}, secret.Text{}, nil
	for _, conversation := range conversations {
		for key, value := range conversation.Inputs.Login {
			l.inputs.Login[key] = canary("the-"+key+"-of-a-user", value)
		}
	}
	if compiled.RefreshToken == v1alpha1.Required {
		l.inputs.RefreshToken = secret.New(server.Seed())
	}
	return l
}

// canary is easy to find where it should not be; a private key has to be one.
func canary(text, given string) secret.Text {
	if strings.Contains(given, "PRIVATE KEY") {
		return secret.New(given)
	}
	return secret.New(text)
}

// clientOf reaches a server under every name.
func clientOf(t *testing.T, handler http.Handler) *http.Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// visit makes one call, a login where there is no refresh token, and keeps what comes of it.
func (l *life) visit(t *testing.T) provider.Outcome {
	t.Helper()
	outcome := l.call(t)
	if fresh := outcome.Grant.RefreshToken; !fresh.IsZero() {
		l.inputs.RefreshToken = fresh
	}
	if outcome.Reason == v1alpha1.RefreshedReason {
		l.inputs.AccessToken, l.inputs.Outputs = outcome.Grant.AccessToken, outcome.Grant.Outputs
	}
	return outcome
}

// call makes the calls before a refresh or a login, that call, and those after it. An
// outcome that is not good ends it, and so it is that of whichever call came last.
func (l *life) call(t *testing.T) provider.Outcome {
	t.Helper()
	in := l.inputs
	in.Outputs = maps.Clone(in.Outputs)
	if in.Outputs == nil {
		in.Outputs = map[string]any{}
	}
	for _, call := range l.provider.Prepare {
		outcome := l.send(t, call.Begin(in, now, exchangeID))
		if outcome.Reason != v1alpha1.RefreshedReason {
			return outcome
		}
		maps.Copy(in.Outputs, outcome.Grant.Outputs)
	}
	call := l.provider.Refresh
	if call == nil || l.inputs.RefreshToken.IsZero() {
		call = l.provider.Login
	}
	outcome := l.send(t, call.Begin(in, now, exchangeID))
	for _, finish := range l.provider.Finish {
		if outcome.Reason != v1alpha1.RefreshedReason {
			break
		}
		in.AccessToken = outcome.Grant.AccessToken
		maps.Copy(in.Outputs, outcome.Grant.Outputs)
		last := l.send(t, finish.Begin(in, now, exchangeID))
		if outcome.Reason = last.Reason; !last.Grant.AccessToken.IsZero() {
			outcome.Grant.Token = last.Grant.Token
		}
		maps.Copy(outcome.Grant.Outputs, last.Grant.Outputs)
	}
	return outcome
}

// send makes one call, and once more where the reply asks for that.
func (l *life) send(t *testing.T, exchange *provider.Exchange) provider.Outcome {
	t.Helper()
	outcome := l.reply(t, exchange)
	if outcome.SendAgain {
		outcome = l.reply(t, exchange.Again(outcome.Outputs, exchangeID))
	}
	return outcome
}

func (l *life) reply(t *testing.T, exchange *provider.Exchange) provider.Outcome {
	t.Helper()
	request, err := exchange.Request(t.Context())
	if err != nil {
		t.Fatalf("request: %v", err)
	}
	response, err := l.client.Do(request)
	if err != nil {
		t.Fatalf("no reply: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return exchange.Read(provider.Reply{Status: response.StatusCode, Header: response.Header, Body: body, CutShort: err != nil})
}

// must makes one call that brings a token.
func (l *life) must(t *testing.T) provider.Outcome {
	t.Helper()
	outcome := l.visit(t)
	if outcome.Reason != v1alpha1.RefreshedReason || outcome.Grant.AccessToken.IsZero() {
		t.Fatalf("a good reply is read as %s: %s (%v)", outcome.Reason, outcome.Message, l.server.Err())
	}
	return outcome
}

func (l *life) refreshes() bool { return l.provider.Refresh != nil }

// singleUse reports whether a reply that proves nothing may have spent the refresh token.
func (l *life) singleUse() bool {
	return l.refreshes() && !l.inputs.RefreshToken.IsZero() && l.provider.Rotation.Mode != v1alpha1.Reusable
}
