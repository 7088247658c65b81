// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// hangsUp answers every request but those for a path that ends in /hangup: these
// it reads to their end, counts, and closes the connection.
func hangsUp(t *testing.T) (server *httptest.Server, hangups, conns *atomic.Int64) {
	hangups, conns = new(atomic.Int64), new(atomic.Int64)
	server = rawTLS(t, "http/1.1", func(conn net.Conn) {
		conns.Add(1)
		reader := bufio.NewReader(conn)
		for {
			request, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, request.Body)
			if strings.HasSuffix(request.URL.Path, "/hangup") {
				hangups.Add(1)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	return server, hangups, conns
}

func request(t *testing.T, ctx context.Context, method, address, idempotencyKey string) *http.Request {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("refresh_token=once")
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if idempotencyKey != "" {
		request.Header.Set("Idempotency-Key", idempotencyKey)
	}
	return request
}

func TestOneRequestIsSentOnceOverHTTP1(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a connection that HTTP/2 or keep-alive would resend on")
	tests := map[string]struct {
		reason         string
		method         string
		idempotencyKey string
		shares         bool // whether the second request reuses the first one's connection
	}{
		"GET":                            {"net/http replays it on a reused connection", http.MethodGet, "", false},
		"POST":                           {"net/http leaves it alone", http.MethodPost, "", true},
		"POST with an idempotency key":   {"net/http replays it where the body can be made again", http.MethodPost, "key", true},
		"DELETE with an idempotency key": {"net/http replays what has no body", http.MethodDelete, "key", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothModes(t, func(t *testing.T, singleUse bool) {
				server, hangups, conns := hangsUp(t)
				client := clientFor(t, server)
				if _, err := client.Do(request(t, t.Context(), test.method, server.URL, test.idempotencyKey), singleUse); err != nil {
					t.Fatal(err)
				}
				_, err := client.Do(request(t, t.Context(), test.method, server.URL+"/hangup", test.idempotencyKey), singleUse)
				checkKind(t, err, errUnanswered)
				if hangups.Load() != 1 {
					t.Errorf("the server saw the request %d times, want once\nreason: %s", hangups.Load(), test.reason)
				}
				if shared := conns.Load() == 1; shared != (test.shares && !singleUse) {
					t.Errorf("%d connections", conns.Load())
				}
			})
		})
	}
}

// The server of the test above does make net/http resend, so that test can fail.
func TestNetHTTPAloneResendsOverHTTP1(t *testing.T) {
	t.Parallel()
	server, hangups, _ := hangsUp(t)
	transport := clientFor(t, server).pools.none.shared
	response, err := transport.RoundTrip(request(t, t.Context(), http.MethodGet, server.URL, ""))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if _, err := transport.RoundTrip(request(t, t.Context(), http.MethodGet, server.URL+"/hangup", "")); err == nil {
		t.Error("the server answered")
	}
	if hangups.Load() < 2 {
		t.Errorf("the server saw the request %d times, want more than once", hangups.Load())
	}
}

// refusals are the ways in which an HTTP/2 server makes net/http resend.
var refusals = map[string]func(framer *http2.Framer, stream uint32) error{
	"REFUSED_STREAM": func(framer *http2.Framer, stream uint32) error {
		return framer.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
	},
	"PROTOCOL_ERROR": func(framer *http2.Framer, stream uint32) error {
		return framer.WriteRSTStream(stream, http2.ErrCodeProtocol)
	},
	"GOAWAY": func(framer *http2.Framer, _ uint32) error {
		return framer.WriteGoAway(0, http2.ErrCodeNo, nil)
	},
}

// refuses reads each request to its end over HTTP/2, tells seen, and refuses it.
func refuses(t *testing.T, refuse func(*http2.Framer, uint32) error, seen func()) *httptest.Server {
	return rawTLS(t, "h2", func(conn net.Conn) {
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		framer := http2.NewFramer(conn, conn)
		if framer.WriteSettings() != nil {
			return
		}
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() && framer.WriteSettingsAck() != nil {
					return
				}
			case *http2.HeadersFrame, *http2.DataFrame:
				if !frame.Header().Flags.Has(http2.FlagDataEndStream) {
					continue
				}
				seen()
				if refuse(framer, frame.Header().StreamID) != nil {
					return
				}
			}
		}
	})
}

func TestOneRequestIsSentOnceOverHTTP2(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a connection that HTTP/2 or keep-alive would resend on")
	for name, refuse := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			server := refuses(t, refuse, func() { requests.Add(1) })
			_, err := clientFor(t, server).Do(request(t, t.Context(), http.MethodPost, server.URL, "key"), false)
			checkKind(t, err, errUnanswered)
			if requests.Load() != 1 {
				t.Errorf("the server saw the request %d times, want once", requests.Load())
			}
		})
	}
}

// The servers of the test above do make net/http resend, so that test can fail.
func TestNetHTTPAloneResendsOverHTTP2(t *testing.T) {
	t.Parallel()
	for name, refuse := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var requests atomic.Int64
			server := refuses(t, refuse, func() {
				if requests.Add(1) == 2 {
					cancel()
				}
			})
			_, err := clientFor(t, server).pools.none.shared.RoundTrip(request(t, ctx, http.MethodPost, server.URL, ""))
			if err == nil || requests.Load() < 2 {
				t.Errorf("the server saw the request %d times, want more than once (%v)", requests.Load(), err)
			}
		})
	}
}
