// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// way is the way out of a courier under test: what was sent, and what comes of it.
type way struct {
	mu   sync.Mutex
	sent []sent
	// hold, unless nil, holds replies back until it is closed.
	hold  chan struct{}
	begun chan struct{}
	reply *egress.Reply
	err   error
}

type sent struct {
	method, url, host, body string
	header                  http.Header
	singleUse               bool
	certificate             bool
}

func newWay() *way {
	return &way{begun: make(chan struct{}, 64), reply: &egress.Reply{Status: 200, Header: http.Header{"X-Odd": {"caf\xe9"}}, Body: []byte("canary-reply\x00\xff")}}
}

func (w *way) Check(request *egress.Request) error {
	if request.URL.Hostname() == "denied.example" {
		return (&egress.Policy{AllowHosts: egress.HostPatterns{"other.example"}}).Check(request.URL)
	}
	return nil
}

func (w *way) Do(request *egress.Request, singleUse bool) (*egress.Reply, error) {
	var body []byte
	if request.Body != nil {
		body, _ = io.ReadAll(request.Body)
	}
	w.mu.Lock()
	w.sent = append(w.sent, sent{
		request.Method, request.URL.String(), request.Host, string(body), request.Header, singleUse,
		egress.CertificateOf(request.Context()) != nil,
	})
	hold, reply, err := w.hold, w.reply, w.err
	w.mu.Unlock()
	w.begun <- struct{}{}
	if hold != nil {
		<-hold
	}
	return reply, err
}

func (w *way) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sent)
}

var key = func() secret.Text {
	key, err := KeyOf(secret.New("the token that was sent"), "1")
	if err != nil {
		panic(err)
	}
	return key
}()

func attemptAt(c Courier, id string) Attempt {
	return Attempt{ID: id, Courier: c.Instance(), Namespace: "team", Note: []byte("note"), Key: key}
}

func requestOf(t *testing.T, ctx context.Context) *egress.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://auth.example/token?a=%2F&b=c%20d", strings.NewReader("canary-request"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header["x-spelled-Oddly"] = []string{"one", "two\xff"}
	return request
}

func exchange(t *testing.T, c Courier, attempt Attempt) (*egress.Reply, error) {
	t.Helper()
	return c.Do(requestOf(t, WithAttempt(t.Context(), attempt)), true)
}

func ask(t *testing.T, c Courier, id, instance string) Answer {
	t.Helper()
	answer, err := c.Ask(t.Context(), Question{Attempt: id, Courier: instance, Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func local(t *testing.T, w *way, directory string) *Local {
	t.Helper()
	l, err := New(Options{Calls: w, Directory: directory, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve has a courier listen, and ends it with the test.
func serve(t *testing.T, l *Local) (path string, stop func() error) {
	t.Helper()
	path = socket(t)
	listener, err := Listen(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, listener, 50*time.Millisecond) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return path, stop
}

// socket is a path that is short enough for one: unix(7) allows 108 bytes.
func socket(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "courier") //nolint:usetesting // the test's own folder has its long name in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return filepath.Join(directory, "socket")
}

func connect(t *testing.T, path string) *Remote {
	t.Helper()
	r := Connect(path, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		r.http.CloseIdleConnections()
	})
	if _, err := r.greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// each runs a test against the embedded courier and against the one behind a socket.
func each(t *testing.T, test func(t *testing.T, w *way, l *Local, c Courier)) {
	t.Helper()
	for name, behind := range map[string]bool{"within the process": false, "behind a socket": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWay()
			l := local(t, w, t.TempDir())
			var c Courier = l
			if behind {
				path, _ := serve(t, l)
				c = connect(t, path)
			}
			test(t, w, l, c)
		})
	}
}

func checkReply(t *testing.T, reply *egress.Reply, err error) {
	t.Helper()
	if err != nil || reply == nil {
		t.Fatalf("got %v, %v, want the provider's reply", reply, err)
	}
	if reply.Status != 200 || !bytes.Equal(reply.Body, []byte("canary-reply\x00\xff")) || reply.Header.Get("X-Odd") != "caf\xe9" {
		t.Errorf("the reply is not what the provider sent, byte for byte: %+v", reply)
	}
}

func isNotSent(err error) bool { return errors.Is(err, egress.ErrNotSent) }
