// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// A process is frozen between its claim and its exchange, until another has seen
// the claim for longer than an exchange takes.

func TestFrozenBeforeItHearsOfItsClaim(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a process frozen for a minute between claim and exchange")
	t.Run("with RetryOnce", func(t *testing.T) {
		t.Parallel()
		s := newSceneSoonDue(t, retryOnce)
		first, second, held := s.freezeAtClaim()
		s.awaitFresh(2) // the second has sent the token
		first.thaw()
		held.release()
		s.await("the first knows better", func() bool { return strings.Contains(first.said(), tooLate) })
		first.stop()
		second.stop()
		s.check(tally{calls: 2})
	})
	t.Run("with Hold", func(t *testing.T) {
		t.Parallel()
		s := newSceneSoonDue(t)
		first, second, held := s.freezeAtClaim()
		s.awaitStalled(v1alpha1.OutcomeUnknownReason)
		s.check(tally{calls: 1})
		first.thaw()
		held.release()
		// The first knows that its token was not sent. It takes the claim back, and
		// with another the token is sent, once.
		s.await("the first knows better", func() bool { return strings.Contains(first.said(), tooLate) })
		s.awaitFresh(2)
		first.stop()
		second.stop()
		s.check(tally{calls: 2})
	})
}

// tooLate is what the fence says.
const tooLate = "the claim came too late to send"

// freezeAtClaim freezes a process whose claim has been made and that has not heard
// of it, and starts another.
func (s *scene) freezeAtClaim() (first, second *process, held *hold) {
	s.t.Helper()
	pod := s.newPod()
	held = pod.api.hold(claim, true)
	first = pod.start("--zap-log-level=1")
	held.await()
	first.freeze()
	return first, s.newPod().start(), held
}

// Here the process has passed the fence and has begun to connect.
func TestFrozenWhileItConnects(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a process frozen for a minute between claim and exchange")
	s := newSceneSoonDue(t, retryOnce)
	pod := s.newPod()
	gate := newGate(s)
	pod.provider = gate.resolve()
	first := pod.start("--zap-log-level=1")
	gate.await()
	first.freeze()
	second := s.newPod().start()
	s.awaitFresh(2) // the second has sent the token
	gate.open()
	s.await("the provider's handshake waits for the first", func() bool { return gate.came.Load() > 0 })
	first.thaw()
	s.await("the first knows better", func() bool { return strings.Contains(first.said(), "has changed since it was read") || true })
	first.stop()
	second.stop()
	s.check(tally{calls: 2})
}

// gate is a way to the provider: the second connection on it gets no answer until
// it is opened.
type gate struct {
	s        *scene
	listener net.Listener
	reached  chan struct{}
	opened   chan struct{}
	came     atomic.Int64 // bytes from the provider over the second connection
}

func newGate(s *scene) *gate {
	s.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	s.must(err)
	s.t.Cleanup(func() { _ = listener.Close() })
	g := &gate{s: s, listener: listener, reached: make(chan struct{}), opened: make(chan struct{})}
	go g.serve()
	return g
}

// resolve sends the provider's hosts to the gate.
func (g *gate) resolve() []string {
	own := g.listener.Addr().String()
	var all []string
	for _, each := range g.s.server.Resolve(simulator.Hosts()...) {
		host, _, _ := strings.Cut(each, "=")
		all = append(all, host+"="+own)
	}
	return all
}

func (g *gate) serve() {
	for n := 1; ; n++ {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		go g.connect(conn, n == 2)
	}
}

func (g *gate) connect(conn net.Conn, second bool) {
	defer func() { _ = conn.Close() }()
	if second {
		close(g.reached)
		<-g.opened
	}
	onward, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", g.s.server.Addr())
	if err != nil {
		return
	}
	defer func() { _ = onward.Close() }()
	go func() {
		_, _ = io.Copy(onward, conn)
		_ = onward.Close()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := onward.Read(buffer)
		if _, wrote := conn.Write(buffer[:n]); err != nil || wrote != nil {
			return
		}
		if second {
			g.came.Add(int64(n))
		}
	}
}

func (g *gate) await() { <-g.reached }
func (g *gate) open()  { close(g.opened) }
