// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// respond decides about a call and answers it.
func (s *Simulator) respond(w http.ResponseWriter, r *http.Request, options *Options, call Call) {
	fault := s.nextFault(options, call)
	decided := answer{}
	acted := false
	act := func() {
		decided, acted = s.answer(options, call), true
		call.Grant = cmp.Or(call.Grant, decided.grant)
	}
	if fault == nil {
		act()
		s.logDecision(options, call, decided.Status, decided.refusal, acted, false)
		send(w, decided.Reply)
		return
	}
	if fault.AfterActing {
		act()
	}
	if !fault.wait(r.Context()) {
		s.logDecision(options, call, 0, decided.refusal, acted, true)
		panic(http.ErrAbortHandler)
	}
	if !acted && !fault.replaces() {
		act()
	}
	reply := fault.apply(decided.Reply)
	if fault.Reset {
		reply.Status = 0
	}
	s.logDecision(options, call, reply.Status, decided.refusal, acted, true)
	fault.send(w, r, reply)
}

// wait tells whether the call still wants an answer.
func (f *Fault) wait(ctx context.Context) bool {
	if f.Delay == 0 && f.Until == nil {
		return true
	}
	delay := longestWait
	if f.Delay > 0 {
		delay = min(delay, time.Duration(f.Delay))
	}
	return sleep(ctx, delay, f.Until)
}

// sleep tells whether it was left to end by itself.
func sleep(ctx context.Context, delay time.Duration, until <-chan struct{}) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-until:
	case <-ctx.Done():
		return false
	}
	return true
}

// apply makes the reply that the fault leaves of the provider's own.
func (f *Fault) apply(own Reply) Reply {
	reply := own
	if f.Reply != nil {
		reply = *f.Reply
	}
	if reply.Status == 0 {
		reply.Status = http.StatusOK
	}
	reply.Header = reply.Header.Clone() // Reply may serve many calls
	if f.Rewrite != nil {
		reply = f.Rewrite(reply)
	}
	if reply.Header == nil {
		reply.Header = http.Header{}
	}
	for name, values := range f.Header {
		reply.Header[http.CanonicalHeaderKey(name)] = values
	}
	if f.ByteOrderMark {
		reply.Body = "\ufeff" + reply.Body
	}
	return reply
}

// send answers as the fault wants.
func (f *Fault) send(w http.ResponseWriter, r *http.Request, reply Reply) {
	switch {
	case f.Reset:
		reset(r)
	case f.GzipBomb > 0:
		reply.Header.Set("Content-Encoding", "gzip")
		writeHead(w, reply)
		bomb := gzip.NewWriter(w)
		if fill(bomb, f.GzipBomb) == nil {
			_ = bomb.Close()
		}
	case f.Gzip:
		reply.Header.Set("Content-Encoding", "gzip")
		reply.Header.Del("Content-Length")
		writeHead(w, reply)
		compressed := gzip.NewWriter(w)
		_, _ = io.WriteString(compressed, reply.Body)
		_ = compressed.Close()
	case f.BodySize > 0:
		reply.Header.Set("Content-Length", strconv.FormatInt(f.BodySize, 10))
		writeHead(w, reply)
		_ = fill(w, f.BodySize)
	case f.Truncate:
		reply.Header.Set("Content-Length", strconv.Itoa(len(reply.Body)))
		writeHead(w, reply)
		_, _ = io.WriteString(w, reply.Body[:len(reply.Body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case f.Drip > 0:
		writeHead(w, reply)
		f.drip(r.Context(), w, reply.Body)
	default:
		send(w, reply)
	}
}

func (f *Fault) drip(ctx context.Context, w http.ResponseWriter, body string) {
	controller := http.NewResponseController(w)
	for i := range len(body) {
		if !sleep(ctx, time.Duration(f.Drip), nil) {
			return
		}
		if _, err := io.WriteString(w, body[i:i+1]); err != nil || controller.Flush() != nil {
			return
		}
	}
}

func send(w http.ResponseWriter, reply Reply) {
	reply.Header = reply.Header.Clone()
	if reply.Header == nil {
		reply.Header = http.Header{}
	}
	if reply.Header.Get("Content-Length") == "" {
		reply.Header.Set("Content-Length", strconv.Itoa(len(reply.Body)))
	}
	writeHead(w, reply)
	_, _ = io.WriteString(w, reply.Body)
}

func writeHead(w http.ResponseWriter, reply Reply) {
	for name, values := range reply.Header {
		w.Header()[name] = values
	}
	if _, stated := reply.Header["Content-Type"]; !stated {
		w.Header()["Content-Type"] = nil // or the server would guess one
	}
	w.WriteHeader(reply.Status)
}

// fill writes so many bytes, until the reader goes away.
func fill(w io.Writer, size int64) error {
	chunk := make([]byte, 64<<10)
	for i := range chunk {
		chunk[i] = ' '
	}
	for size > 0 {
		n, err := w.Write(chunk[:min(size, int64(len(chunk)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

// connectionKey is the context's key for the TCP connection of a request.
type connectionKey struct{}

// reset ends the connection without an answer, with a TCP reset where the
// simulator's own server serves it.
func reset(r *http.Request) {
	if connection, ok := r.Context().Value(connectionKey{}).(*net.TCPConn); ok {
		_ = connection.SetLinger(0)
		_ = connection.Close()
	}
	panic(http.ErrAbortHandler)
}
