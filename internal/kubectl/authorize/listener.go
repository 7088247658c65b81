// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// callbackPath is where the browser comes back to on this machine.
const callbackPath = "/callback"

// listener waits for the browser on this machine.
type listener struct {
	redirectURI string
	path        string
	socket      net.Listener // nil: the browser ends elsewhere
	server      *http.Server
}

// listen opens the port that the browser is to come back to. It is bound before the page is
// shown, and to the loopback address alone (RFC 8252 section 7.3).
func (b Browser) listen(ctx context.Context) (*listener, error) {
	l := &listener{redirectURI: b.RedirectURI, path: callbackPath}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(b.Port))
	if b.RedirectURI != "" {
		target, err := url.Parse(b.RedirectURI)
		if err != nil || target.Scheme == "" {
			return nil, errors.New("--redirect-uri is no URI")
		}
		if target.Scheme != "http" || !isLoopback(target.Hostname()) || target.Port() == "" {
			if b.In == nil {
				return nil, errors.New("the browser ends at --redirect-uri, and there is nobody to paste its address")
			}
			return l, nil
		}
		host := target.Hostname()
		if host == "localhost" {
			host = "127.0.0.1"
		}
		address, l.path = net.JoinHostPort(host, target.Port()), target.EscapedPath()
	}
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the browser could not come back to this machine: %w", err)
	}
	l.socket = socket
	if b.RedirectURI == "" {
		l.redirectURI = "http://" + socket.Addr().String() + callbackPath
	}
	return l, nil
}

func (l *listener) isOpen() bool { return l.socket != nil }

// serve hands over the first answer that belongs to this login; all others are turned away.
func (l *listener) serve(r reading, say func(string, ...any), answers chan<- answer) {
	if l.socket == nil {
		return
	}
	var done atomic.Bool
	l.server = &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if request.Method != http.MethodGet || request.URL.EscapedPath() != l.path && (l.path != "" || request.URL.Path != "/") {
				tell(w, http.StatusNotFound, "Nothing is here.")
				return
			}
			got := r.query(request.URL.Query())
			if errors.Is(got.err, errOtherState) {
				say("A browser came back with what belongs to another login; still waiting for this one.")
				tell(w, http.StatusBadRequest, "This belongs to another login.")
				return
			}
			if !done.CompareAndSwap(false, true) {
				tell(w, http.StatusGone, "This login is over.")
				return
			}
			if got.err != nil {
				tell(w, http.StatusOK, "Access was not granted. The terminal says more; you can close this page.")
			} else {
				tell(w, http.StatusOK, "Access is granted. Go back to the terminal; you can close this page.")
			}
			offer(answers, got)
		}),
	}
	go func() { _ = l.server.Serve(l.socket) }() // it ends with close
}

// close lets the page that is being answered arrive.
func (l *listener) close() {
	if l.server == nil {
		if l.socket != nil {
			_ = l.socket.Close()
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.server.Shutdown(ctx) // what is still open then is of no use
}

// tell answers the browser with a page that loads nothing and tells nobody its address,
// which holds the code.
func tell(w http.ResponseWriter, status int, text string) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	header.Set("Connection", "close")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!doctype html><title>TokenKeeper</title><p>%s</p>\n", html.EscapeString(text))
}

// offer hands over an answer unless there is one already.
func offer(answers chan<- answer, got answer) {
	select {
	case answers <- got:
	default:
	}
}

// paste reads what a person pastes: the first line that is not empty. The end of the input
// matters where nothing else can bring an answer.
func (r reading) paste(in io.Reader, canWait bool, answers chan<- answer) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			offer(answers, r.pasted(line))
			return
		}
	}
	if !canWait {
		offer(answers, answer{err: errors.New("the input ended before a code came")})
	}
}

// pasted reads a code, or the address that holds it. A code alone proves nothing of where it
// is from, so it is taken only where PKCE binds it to this login.
func (r reading) pasted(line string) answer {
	if _, query, isAddress := strings.Cut(line, "?"); isAddress {
		query, _, _ = strings.Cut(query, "#")
		values, err := url.ParseQuery(query)
		if err != nil {
			return answer{err: errors.New("what was pasted is no address: paste all of it, or the code")}
		}
		return r.query(values)
	}
	switch {
	case strings.Contains(line, "://"):
		return answer{err: errors.New("the address that was pasted holds no code: paste the one that the browser ends at")}
	case !r.isBound:
		return answer{err: errors.New("this provider does not bind a code to a login (pkce: None), so paste the whole address, whose state does")}
	}
	return answer{code: secret.New(line)}
}
