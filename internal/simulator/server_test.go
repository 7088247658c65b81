// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestEveryHostLeadsHereOverTLS(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	for _, http2 := range []bool{false, true} {
		client := dial(t, server, http2)
		for _, name := range append(Hosts(), "anything.example.org") {
			reply, _, err := request{method: "GET", url: "https://" + name + "/"}.over(t.Context(), client)
			if err != nil || reply.StatusCode != 404 || reply.TLS.PeerCertificates[0].DNSNames[0] != name {
				t.Errorf("%s: %v %v", name, reply, err)
			}
		}
		if _, _, err := (request{method: "GET", url: server.URL()}).over(t.Context(), client); err != nil {
			t.Errorf("by its address: %v", err)
		}
	}
	if got := s.Calls(Match{Endpoint: Other}); got != 12 {
		t.Errorf("%d calls, want 12", got)
	}
	want := "account.xiaomi.com:443=" + server.Addr()
	if got := server.Resolve(XiaomiHost); len(got) != 1 || got[0] != want {
		t.Errorf("Resolve gives %v, want %s", got, want)
	}
}

// TestRawBytes writes the documented request by hand, so that no HTTP client
// stands between.
func TestRawBytes(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(server.CAPEM())
	connection, err := tls.Dial("tcp", server.Addr(), &tls.Config{RootCAs: roots, ServerName: "mcs.mediatek.com", MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	const sent = "POST /oauth/login/thirdparty/refresh HTTP/1.1\r\nHost: mcs.mediatek.com\r\nauthorization: " + mcsBasic +
		"\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n" + `{"token":"demo-mcs-user-token"}`
	if _, err := io.WriteString(connection, sent); err != nil {
		t.Fatal(err)
	}
	reply, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil || string(body) != mcsNestedStart+`,"token":"demo-mcs-user-token"}}` {
		t.Errorf("%s %v", body, err)
	}
	entry := s.Log(0)[0]
	if entry.Host != "mcs.mediatek.com" || entry.Body != `{"token":"demo-mcs-user-token"}` || entry.Header.Get("Authorization") != mcsBasic || entry.Grant != DemoMCSGrant || entry.Status != 200 {
		t.Errorf("the log holds the call as it came: %+v", entry)
	}
}

func TestStartRefusesATakenAddress(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	if _, err := s.Start(server.Addr()); err == nil || !strings.Contains(err.Error(), "cannot listen") {
		t.Errorf("error %v", err)
	}
}

func TestAServerComesBack(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	client := dial(t, server, false)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := oauthRefresh(DemoOAuthRefreshToken).over(t.Context(), client); err == nil {
		t.Error("a closed server answered")
	}
	again, err := s.Start(server.Addr())
	if err != nil {
		t.Skipf("another process has taken the port: %v", err)
	}
	defer func() { _ = again.Close() }()
	if reply, _, err := oauthRefresh(DemoOAuthRefreshToken).over(t.Context(), client); err != nil || reply.StatusCode != 200 {
		t.Errorf("a client that trusts the first server's CA trusts the second's: %v", err)
	}
}

// BenchmarkRefresh rotates grants in parallel, without the wire.
func BenchmarkRefresh(b *testing.B) {
	s := New(Options{})
	if _, err := s.Add(Demo()); err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		grants, err := s.Add(Seed{Grants: []Grant{{Vendor: OAuth, App: DemoOAuthClientID}}})
		if err != nil {
			b.Error(err)
			return
		}
		options, token := s.load(), grants[0].RefreshToken
		for pb.Next() {
			request, _ := http.NewRequestWithContext(b.Context(), "POST", DemoOAuthTokenURL, strings.NewReader("grant_type=refresh_token&refresh_token="+token))
			request.Header.Set("Content-Type", formType)
			request.Header.Set("Authorization", oauthBasic)
			call, err := s.newCall(options, request)
			if err != nil {
				b.Error(err)
				return
			}
			s.logArrival(&call)
			decided := s.answer(options, call)
			s.logDecision(options, call, decided.Status, decided.refusal, true, false)
			token = s.family(grants[0].ID).state(false).Current
		}
	})
	if totals := s.Totals(); totals.Reuses != 0 || totals.Refreshes == 0 {
		b.Errorf("totals %+v", totals)
	}
}
