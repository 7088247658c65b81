// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// A process that has passed the fence is frozen while it connects, until another
// has sent its token. When it goes on, the provider's half of the handshake is
// there already.
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
	s.await("the first leaves the token to the second", first.hasPaused)
	first.stop()
	second.stop()
	s.check(tally{calls: 2})
	if !s.isFresh(2) {
		t.Errorf("the first has spoiled what the second has done\n%s", s.describe())
	}
}

// gate is a way to the provider: on the second connection the client's half of the
// handshake comes, and gets no answer until the gate is opened.
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
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return
	}
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
		_, _ = io.Copy(onward, io.MultiReader(bytes.NewReader(first), conn))
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
