// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dial makes a client that sends every host to the server and trusts its CA.
func dial(t *testing.T, server *Server, http2 bool) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(server.CAPEM()) {
		t.Fatal("the CA does not read")
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Addr())
		},
		TLSClientConfig:    &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:  http2,
		DisableCompression: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// over sends a request over the wire.
func (r request) over(ctx context.Context, client *http.Client) (*http.Response, string, error) {
	made, err := http.NewRequestWithContext(ctx, r.method, r.url, strings.NewReader(r.body))
	if err != nil {
		return nil, "", err
	}
	made.GetBody = nil // never sent twice by the client itself
	if r.authorization != "" {
		made.Header.Set("Authorization", r.authorization)
	}
	if r.contentType != "" {
		made.Header.Set("Content-Type", r.contentType)
	}
	reply, err := client.Do(made)
	if err != nil {
		return nil, "", err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	return reply, string(body), err
}

// serve starts a test's simulator.
func serve(t *testing.T, options Options) (*Simulator, *Server) {
	t.Helper()
	s, _ := newTest(t, options)
	server, err := s.Start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return s, server
}

func TestFaults(t *testing.T) {
	t.Parallel()
	html := &Reply{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>sign in</html>"}
	for _, c := range []struct {
		name      string
		fault     Fault
		refreshes int
		broken    bool // the client gets no whole reply
		status    int
		header    string
		value     string
		body      string
	}{
		{name: "429 with Retry-After", fault: Fault{Reply: &Reply{Status: 429, Header: http.Header{"Retry-After": {"7"}}}}, status: 429, header: "Retry-After", value: "7"},
		{name: "503 after acting", fault: Fault{AfterActing: true, Reply: &Reply{Status: 503, Body: "later"}}, refreshes: 1, status: 503, body: "later"},
		{name: "reset before acting", fault: Fault{Reset: true}, broken: true},
		{name: "reset after acting", fault: Fault{Reset: true, AfterActing: true}, refreshes: 1, broken: true},
		{name: "a truncated body after acting", fault: Fault{Truncate: true}, refreshes: 1, broken: true},
		{name: "HTML with 200", fault: Fault{Reply: html}, status: 200, header: "Content-Type", value: "text/html", body: "<html>sign in</html>"},
		{name: "a redirect", fault: Fault{Reply: &Reply{Status: 307, Header: http.Header{"Location": {"https://elsewhere.example.com/"}}}}, status: 307, header: "Location", value: "https://elsewhere.example.com/"},
		{name: "a huge body", fault: Fault{BodySize: 1 << 20}, status: 200, header: "Content-Length", value: "1048576", body: strings.Repeat(" ", 1<<20)},
		{name: "a wrong Content-Type", fault: Fault{Header: http.Header{"Content-Type": {"text/plain"}}}, refreshes: 1, status: 200, header: "Content-Type", value: "text/plain", body: oauthReply},
		{name: "a byte order mark", fault: Fault{ByteOrderMark: true}, refreshes: 1, status: 200, body: "\ufeff" + oauthReply},
		{name: "one byte after another", fault: Fault{Drip: Duration(time.Microsecond)}, refreshes: 1, status: 200, body: oauthReply},
		{name: "another member", fault: Fault{Rewrite: func(r Reply) Reply { r.Body = strings.Replace(r.Body, "{", `{"x":1,`, 1); return r }}, refreshes: 1, status: 200, body: `{"x":1,` + oauthReply[1:]},
		{name: "a short delay", fault: Fault{Delay: Millisecond}, refreshes: 1, status: 200, body: oauthReply},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(c.name+" by "+protocol, func(t *testing.T) {
				t.Parallel()
				s, server := serve(t, Options{})
				client := dial(t, server, protocol == "HTTP/2.0")
				s.QueueFault(Match{Vendor: OAuth, Endpoint: Refresh}, 1, c.fault)
				reply, body, err := oauthRefresh(DemoOAuthRefreshToken).over(t.Context(), client)
				switch {
				case c.broken && err == nil:
					t.Errorf("the reply must not come whole: %q", body)
				case c.broken:
				case err != nil:
					t.Fatal(err)
				case reply.StatusCode != c.status || reply.Header.Get(c.header) != c.value || body != c.body:
					t.Errorf("%d %s=%q %.200q, want %d %q %.200q", reply.StatusCode, c.header, reply.Header.Get(c.header), body, c.status, c.value, c.body)
				case reply.Proto != protocol:
					t.Errorf("spoken over %s", reply.Proto)
				}
				if got := grantOf(t, s, DemoOAuthGrant).Refreshes; got != c.refreshes {
					t.Errorf("%d refreshes, want %d", got, c.refreshes)
				}
				log := s.Log(0)
				if len(log) != 1 || !log[0].Faulty || log[0].Acted != (c.refreshes == 1) || log[0].Status != c.status && !c.fault.Truncate {
					t.Errorf("the log tells of one faulty call: %+v", log)
				}
				if s.QueuedFaults() != 0 {
					t.Error("the fault is used up")
				}
			})
		}
	}
}

func TestResetIsOneOfTCP(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	s.QueueFault(Match{}, 1, Fault{Reset: true, AfterActing: true})
	_, _, err := oauthRefresh(DemoOAuthRefreshToken).over(t.Context(), dial(t, server, false))
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want a reset", err)
	}
	if reply := oauthRefresh(DemoOAuthRefreshToken).send(t, s); reply.Code != 400 {
		t.Errorf("the token was spent although the reply was lost: %d", reply.Code)
	}
}

func TestGzipBomb(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	s.QueueFault(Match{}, 1, Fault{GzipBomb: 8 << 20})
	reply, body, err := oauthRefresh(DemoOAuthRefreshToken).over(t.Context(), dial(t, server, true))
	if err != nil || reply.Header.Get("Content-Encoding") != "gzip" || len(body) > 64<<10 {
		t.Fatalf("a small gzip body is wanted: %d bytes, %v", len(body), err)
	}
	unpacked, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if size, err := io.Copy(io.Discard, unpacked); err != nil || size != 8<<20 {
		t.Errorf("it expands to %d bytes, %v", size, err)
	}
}

func TestABodyIsCompressed(t *testing.T) {
	t.Parallel()
	s, server := serve(t, Options{})
	wanted := strings.Repeat("many values, ", 10000)
	s.QueueFault(Match{}, 1, Fault{Gzip: true, Reply: &Reply{Body: wanted}})
	reply, body, err := oauthRefresh(DemoOAuthRefreshToken).over(t.Context(), dial(t, server, true))
	if err != nil || reply.Header.Get("Content-Encoding") != "gzip" || len(body) > 4<<10 {
		t.Fatalf("a small gzip body is wanted: %d bytes, %v", len(body), err)
	}
	unpacked, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(unpacked); err != nil || string(got) != wanted {
		t.Errorf("it expands to %d bytes, %v; want the reply's own %d", len(got), err, len(wanted))
	}
}

func TestFaultWaitsUntilToldOrUntilTheServerEnds(t *testing.T) {
	t.Parallel()
	told, never := make(chan struct{}), make(chan struct{})
	s, server := serve(t, Options{Faults: func(call Call) *Fault {
		switch call.Vendor {
		case OAuth:
			return &Fault{AfterActing: true, Until: told}
		case MCS:
			return &Fault{Until: never}
		default:
			return nil
		}
	}})
	client := dial(t, server, true)
	answers := make(chan error, 2)
	go func() {
		_, body, err := oauthRefresh(DemoOAuthRefreshToken).over(t.Context(), client)
		if err == nil && body != oauthReply {
			err = errors.New(body)
		}
		answers <- err
	}()
	if err := s.AwaitCalls(t.Context(), Match{Vendor: OAuth}, 1); err != nil {
		t.Fatal(err)
	}
	close(told)
	if err := <-answers; err != nil {
		t.Errorf("the call is answered once told: %v", err)
	}
	go func() {
		_, _, err := mcsRefresh(DemoMCSUserToken).over(t.Context(), client)
		answers <- err
	}()
	if err := s.AwaitCalls(t.Context(), Match{Vendor: MCS}, 1); err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-answers; err == nil {
		t.Error("a call ends with the server, unanswered")
	}
	if got := grantOf(t, s, DemoMCSGrant).Refreshes; got != 0 {
		t.Errorf("it has not acted: %d refreshes", got)
	}
}

func TestFaultsMatchAndQueue(t *testing.T) {
	t.Parallel()
	s, _ := newTest(t, Options{Faults: func(call Call) *Fault {
		if call.Grant == DemoMCSGrant {
			return &Fault{Reply: &Reply{Status: 502}}
		}
		return nil
	}})
	s.QueueFault(Match{Grant: DemoXiaomiGrant, Host: XiaomiHost, Path: "/oauth2/token"}, 2, Fault{Reply: &Reply{Status: 500}})
	s.QueueFault(Match{Vendor: Xiaomi}, 1, Fault{Reply: &Reply{Status: 429}})
	s.SetUnavailable(Match{Vendor: Xiaomi}, true)
	var got []int
	for range 4 {
		got = append(got, xiaomiRefresh(DemoXiaomiRefreshToken).send(t, s).Code)
	}
	s.SetUnavailable(Match{Vendor: Xiaomi}, false)
	got = append(got, xiaomiRefresh(DemoXiaomiRefreshToken).send(t, s).Code,
		mcsRefresh(DemoMCSUserToken).send(t, s).Code, oauthRefresh(DemoOAuthRefreshToken).send(t, s).Code)
	want := []int{500, 500, 429, 503, 200, 502, 200}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("statuses %v, want %v: queued, then unavailable, then the hook, then the provider", got, want)
		}
	}
	s.QueueFault(Match{}, 3, Fault{Reset: true})
	s.SetUnavailable(Match{}, true)
	s.ClearFaults()
	if s.QueuedFaults() != 0 || xiaomiRefresh("x").send(t, s).Code != 200 {
		t.Error("cleared faults are gone")
	}
}
