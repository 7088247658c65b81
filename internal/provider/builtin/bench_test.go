// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package builtin_test

import (
	"net/http"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// xiaomi begins an exchange with the built-in provider of that name.
func xiaomi(b testing.TB) *provider.Call {
	b.Helper()
	specs, err := builtin.Specs()
	if err != nil {
		b.Fatal(err)
	}
	compiled, err := compile.Provider("xiaomi", specs["xiaomi"])
	if err != nil {
		b.Fatal(err)
	}
	return compiled.Refresh
}

func started(call *provider.Call) *provider.Exchange {
	return call.Begin(provider.Inputs{
		AppKey: secret.New("2882303761517000000"), AppSecret: secret.New("an-app-secret"), RefreshToken: secret.New("a-refresh-token"),
		Parameters: map[string]string{"redirectURI": "https://shop.example/callback"},
	}, now, exchangeID)
}

// xiaomiReply is one that brings tokens.
func xiaomiReply() provider.Reply {
	return provider.Reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte(
		`&&&START&&&{"access_token":"V3_an-access-token","expires_in":7776000,"scope":"1 3","token_type":"mac",` +
			`"refresh_token":"R3_another-refresh-token","mac_key":"a-mac-key","mac_algorithm":"HmacSha1","openId":"an-open-id"}`)}
}

// TestAnExchangeAllocatesLittle holds each half of an exchange to a hundred allocations:
// ten thousand credentials share one collector. Time is the benchmarks' to tell.
//
//nolint:paralleltest // testing.AllocsPerRun counts what every goroutine allocates
func TestAnExchangeAllocatesLittle(t *testing.T) {
	const most = 100
	call, reply := xiaomi(t), xiaomiReply()
	for name, half := range map[string]func(){
		"building a request": func() {
			if _, err := started(call).Request(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"reading a reply": func() {
			if outcome := started(call).Read(reply); outcome.Reason != "Refreshed" {
				t.Fatal(outcome.Reason, outcome.Message)
			}
		},
	} {
		if count := testing.AllocsPerRun(50, half); count > most {
			t.Errorf("%s takes %.0f allocations, of at most %d", name, count, most)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	call := xiaomi(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := started(call).Request(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	call, reply := xiaomi(b), xiaomiReply()
	b.ReportAllocs()
	for b.Loop() {
		if outcome := started(call).Read(reply); outcome.Reason != "Refreshed" {
			b.Fatal(outcome.Reason, outcome.Message)
		}
	}
}
