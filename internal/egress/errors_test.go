// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestNothingWasSent(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "DNS, dial and TLS failures")
	trusted := startTLS(t, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	old := startTLS(t, func(http.ResponseWriter, *http.Request) {}, func(server *httptest.Server) {
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	})
	const patience = 10 * time.Second

	tests := map[string]struct {
		reason string
		server *httptest.Server // whose certificate is trusted
		flags  []string
		url    string
		ctx    context.Context
		change func(*http.Request)
		want   string
	}{
		"nobody listens": {
			reason: "the connection is refused",
			url:    "https://" + closed.Addr().String(),
			want:   "127.0.0.1:" + port(closed) + " could not be reached: connection refused",
		},
		"an authority that is not trusted": {
			reason: "the handshake ends before the request",
			url:    trusted.URL,
			want:   "signed by an authority that is not trusted; add the authority with --egress-ca-file",
		},
		"a certificate for another name": {
			reason: "the handshake ends before the request",
			server: trusted,
			flags:  []string{"--egress-resolve=auth.test:443=" + trusted.Listener.Addr().String()},
			url:    "https://auth.test",
			want:   "auth.test could not be reached: its certificate is for another name",
		},
		"a server of plain HTTP": {
			reason: "its answer to a TLS hello is no TLS",
			url: "https://" + listen(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
				untilClosed(conn)
			}),
			want: "it does not speak TLS on this port",
		},
		"a server that hangs up on the handshake": {
			reason: "the request comes after the handshake",
			url:    "https://" + listen(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 2048)) }),
			want:   "could not be reached: ",
		},
		"a server that speaks an old TLS only": {
			reason: "TLS 1.2 is the oldest that is spoken",
			server: old,
			url:    old.URL,
			want:   "it refused the TLS handshake (tls: protocol version not supported)",
		},
		"a deadline during the handshake": {
			reason: "the request comes after the handshake",
			url:    "https://" + listen(t, untilClosed),
			ctx:    within(t, 50*time.Millisecond),
			want:   "no connection in time",
		},
		"a context that has ended": {
			reason: "nothing is begun",
			server: trusted,
			url:    trusted.URL,
			ctx:    cancelled(t),
			want:   "the attempt was cancelled",
		},
		"a header with a line feed": {
			reason: "it would be a second header; its value is not shown",
			server: trusted,
			url:    trusted.URL,
			change: func(r *http.Request) { r.Header.Set("X-Token", "canary\nX-Other: canary") },
			want:   "the header X-Token holds a character that HTTP does not allow, such as a line feed",
		},
		"a header whose name is none": {
			reason: "net/http would quote it",
			server: trusted,
			url:    trusted.URL,
			change: func(r *http.Request) { r.Header["canary name"] = []string{"x"} },
			want:   "the name of a header holds a character that HTTP does not allow",
		},
		"a method that is none": {
			reason: "net/http would quote it",
			server: trusted,
			url:    trusted.URL,
			change: func(r *http.Request) { r.Method = "canary method" },
			want:   "no connection could be made",
		},
		"a body that cannot be read": {
			reason: "it is read before anything is sent",
			server: trusted,
			url:    trusted.URL,
			change: func(r *http.Request) { r.Body = io.NopCloser(failingReader{}) },
			want:   "the request's body could not be read",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothModes(t, func(t *testing.T, singleUse bool) {
				ctx := test.ctx
				if ctx == nil {
					ctx = within(t, patience)
				}
				request := canaryRequest(t, ctx, http.MethodPost, test.url)
				if test.change != nil {
					test.change(request)
				}
				_, err := clientFor(t, test.server, test.flags...).Do(request, singleUse)
				checkKind(t, err, ErrNotSent)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("Do = %v, want it to hold %q\nreason: %s", err, test.want, test.reason)
				}
			})
		})
	}
}

func port(listener net.Listener) string {
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) {
	return 0, &url.Error{Op: "read", URL: "https://canary", Err: io.ErrNoProgress}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want string
	}{
		"a name that does not exist":         {&net.DNSError{IsNotFound: true, Name: "canary"}, "no such host"},
		"a name server that does not answer": {&net.DNSError{IsTimeout: true, Name: "canary"}, "its name could not be resolved"},
		"an error that nobody knows":         {&url.Error{Op: "canary", Err: io.ErrNoProgress}, "no connection could be made"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := unreachable(&net.OpError{Op: "dial", Err: test.err}); got != test.want {
				t.Errorf("unreachable = %q, want %q", got, test.want)
			}
		})
	}
}

// Each of these providers has read the request, and may have acted on it.
func TestBytesWereSent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason string
		reply  func(conn net.Conn)
		late   bool // the deadline comes once the request has been read
		want   string
	}{
		"it hangs up": {
			reason: "the request was read",
			reply:  func(net.Conn) {},
			want:   "the request may have been acted on",
		},
		"it resets the connection": {
			reason: "the request was read",
			reply: func(conn net.Conn) {
				_ = conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
				_ = conn.(*tls.Conn).NetConn().Close()
			},
			want: "the request may have been acted on",
		},
		"it never answers": {
			reason: "a deadline after the request tells nothing",
			reply:  untilClosed,
			late:   true,
			want:   "did not answer in time; the request may have been acted on",
		},
		"it drips": {
			reason: "the deadline bounds the whole exchange",
			reply: func(conn net.Conn) {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncanary")
				untilClosed(conn)
			},
			late: true,
			want: "did not answer in time; the request may have been acted on",
		},
		"it sends less than it promised": {
			reason: "a part of a reply is no reply",
			reply: func(conn net.Conn) {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":\"canary\"}")
			},
			want: "is cut short",
		},
		"it sends a chunk less than it promised": {
			reason: "the last chunk ends a chunked body",
			reply: func(conn net.Conn) {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ncanary\r\n")
			},
			want: "is cut short",
		},
		"it does not speak HTTP": {
			reason: "net/http would quote the line",
			reply:  func(conn net.Conn) { _, _ = io.WriteString(conn, "canary\r\n\r\n") },
			want:   "broke off",
		},
		"its header is broken": {
			reason: "net/http would quote the line",
			reply:  func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\ncanary canary\r\n\r\n") },
			want:   "broke off",
		},
		"its header is larger than is read": {
			reason: "the header is bounded too",
			reply: func(conn net.Conn) {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Canary: "+strings.Repeat("canary", maxHeader)+"\r\n\r\n")
				untilClosed(conn)
			},
			want: "broke off",
		},
		"it says that more is to come, without end": {
			reason: "informational replies are bounded too",
			reply: func(conn net.Conn) {
				for {
					if _, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nX-Canary: canary\r\n\r\n"); err != nil {
						return
					}
				}
			},
			want: "the request may have been acted on",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothModes(t, func(t *testing.T, singleUse bool) {
				ctx, end := context.WithCancelCause(t.Context())
				defer end(nil)
				server := rawTLS(t, "http/1.1", func(conn net.Conn) {
					if readRequest(bufio.NewReader(conn)) == "" {
						return
					}
					if test.late {
						end(context.DeadlineExceeded)
					}
					test.reply(conn)
				})
				_, err := clientFor(t, server).Do(canaryRequest(t, ctx, http.MethodPost, server.URL), singleUse)
				checkKind(t, err, errUnanswered)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("Do = %v, want it to hold %q\nreason: %s", err, test.want, test.reason)
				}
			})
		})
	}
}

func TestAFailureIsTheSameToAnotherProcess(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		err          error
		is           []error
		isNot        []error
		message      string
	}{
		{"denied", "the admin's word stays the admin's", denied("no"), []error{ErrDenied}, []error{ErrNotSent}, "no"},
		{"a certificate", "it says nothing of the host", &failure{kind: ErrCertificate, message: "refused"}, []error{ErrCertificate, ErrNotSent}, []error{ErrUnreachable}, "refused"},
		{"unreachable", "it says something of the host", notSent("a.example", context.DeadlineExceeded), []error{ErrUnreachable, ErrNotSent, context.DeadlineExceeded}, []error{ErrCertificate}, "a.example could not be reached: no connection in time"},
		{"not sent", "the request itself is at fault", NotSent("a line feed"), []error{ErrNotSent}, []error{ErrUnreachable}, "a line feed"},
		{"unanswered", "bytes may have left", unanswered("a.example", context.Canceled), []error{context.Canceled}, []error{ErrNotSent, ErrDenied}, "the exchange with a.example was cancelled; the request may have been acted on"},
		{"any other", "its text may quote what was sent", errors.New("canary"), nil, []error{ErrNotSent, ErrDenied}, "the exchange broke off; the request may have been acted on"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			got := FailureOf(each.err).Err()
			if got == nil || got.Error() != each.message {
				t.Fatalf("got %v, want %q\nreason: %s", got, each.message, each.reason)
			}
			for _, kind := range each.is {
				if !errors.Is(got, kind) {
					t.Errorf("it is no %v\nreason: %s", kind, each.reason)
				}
			}
			for _, kind := range each.isNot {
				if errors.Is(got, kind) {
					t.Errorf("it is a %v\nreason: %s", kind, each.reason)
				}
			}
		})
	}
	if FailureOf(nil).Err() != nil {
		t.Error("what did not fail fails")
	}
	if err := (&Failure{Kind: "of a later version", Message: "m"}).Err(); errors.Is(err, ErrNotSent) || errors.Is(err, ErrDenied) {
		t.Errorf("an unknown kind is taken to mean that nothing was sent: %v", err)
	}
}
