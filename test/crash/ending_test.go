// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestTerminatedDuringTheExchange(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "SIGTERM during the exchange")
	s := newSceneSoonDue(t)
	release := s.holdReply()
	process := s.newPod().start()
	s.awaitCalls(2)
	process.terminate()
	release()
	process.end()
	s.check(tally{calls: 2})
	if !s.isFresh(2) {
		t.Errorf("the manager ended before it had saved, published and told what it was sent\n%s", s.describe())
	}
}

// stubborn is how often a commit is refused before a test goes on: the last
// retries are seconds apart.
const stubborn = 7

func TestTerminatedDuringACommitThatKeepsFailing(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "SIGTERM during a commit that keeps failing")
	s := newSceneSoonDue(t)
	pod := s.newPod()
	refused := pod.api.refuse(commit, http.StatusInternalServerError)
	process := pod.start()
	s.await("a commit is refused", func() bool { return refused.count.Load() > 0 })
	process.terminate()
	s.await("it is refused again and again", func() bool { return refused.count.Load() >= stubborn })
	if !process.lives() {
		t.Fatal("the manager ended before it had saved what it was sent")
	}
	refused.lift()
	process.end()
	s.check(tally{calls: 2})
	if !s.isFresh(2) {
		t.Errorf("the manager ended before it had saved, published and told what it was sent\n%s", s.describe())
	}
}

// The first of two replicas cannot renew its lease while its commit is refused.
// The second takes the lease, and must leave the claim alone as long as the first
// may be at it.
func TestLeadershipLostDuringTheCommit(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "leadership lost during the commit")
	s := newSceneSoonDue(t)
	pod, other := s.newPod(), s.newPod()
	refused := pod.api.refuse(commit, http.StatusInternalServerError)
	first := pod.start("--leader-elect")
	s.await("the first replica leads", func() bool { return s.leader() != "" })
	leader := s.leader()
	second := other.start("--leader-elect")
	s.await("a commit is refused", func() bool { return refused.count.Load() > 0 })
	pod.api.refuse(leaseUpdate, http.StatusInternalServerError)
	s.await("the second replica leads", func() bool { return s.leader() != leader && s.leader() != "" })
	if !first.lives() {
		t.Fatal("the manager ended before it had saved what it was sent")
	}
	tries := refused.count.Load()
	s.await("the commit is tried again without the lease", func() bool { return refused.count.Load() > tries })
	if s.state("attempt") == "" || s.calls() != 2 {
		t.Errorf("the second replica did not leave the claim of the first alone\n%s", s.describe())
	}
	refused.lift()
	first.awaitEnd()
	if !strings.Contains(first.said(), "leader election lost") {
		t.Errorf("the manager did not end because of its lease, but with %v", first.err)
	}
	s.awaitFresh(2)
	second.stop()
	s.check(tally{calls: 2})
}

// A provider that does not answer holds the call of one tenant, and must not hold the
// lease with it.
func TestTheLeaseIsGivenUpBesideASlowCall(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a provider that does not answer while the process ends")
	s := newSceneSoonDue(t)
	release := s.holdReply()
	first := s.newPod().start("--leader-elect")
	s.await("the first replica leads", func() bool { return s.leader() != "" })
	leader := s.leader()
	second := s.newPod().start("--leader-elect")
	s.awaitCalls(2)
	first.terminate()
	s.await("the second replica leads", func() bool { return s.leader() != leader && s.leader() != "" })
	if !first.lives() {
		t.Fatal("the manager ended before it had saved what it was sent")
	}
	if s.state("attempt") == "" || s.calls() != 2 {
		t.Errorf("the second replica did not leave the claim of the first alone\n%s", s.describe())
	}
	release()
	first.end()
	s.awaitFresh(2)
	second.stop()
	s.check(tally{calls: 2})
}

// leader is who holds the lease. Its name tells the shard.
func (s *scene) leader() string {
	var leases coordinationv1.LeaseList
	s.must(s.List(s.t.Context(), &leases, client.InNamespace(s.namespace)))
	for i := range leases.Items {
		if holder := leases.Items[i].Spec.HolderIdentity; holder != nil && strings.HasSuffix(leases.Items[i].Name, "manager.tokenkeeper.io") {
			return *holder
		}
	}
	return ""
}

// What ten minutes would show is shown after some retries, of which the last are
// seconds apart: nothing in the manager counts the time that the API server is away.
func TestAPIServerAwayAtTheCommit(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "API server away for ten minutes at the commit")
	t.Run("of the only process", func(t *testing.T) {
		t.Parallel()
		process, s := apiServerAway(t, stubborn)
		s.awaitFresh(2)
		process.stop()
		s.check(tally{calls: 2})
	})
	// A leader loses its lease after ten seconds, so it ends once its commit is
	// through, and the next one publishes. Until then no probe may end it.
	t.Run("of a leader", func(t *testing.T) {
		t.Parallel()
		process, s := apiServerAway(t, 2*stubborn, "--leader-elect")
		process.awaitEnd()
		if !strings.Contains(process.said(), "leader election lost") {
			t.Errorf("the manager did not end because of its lease, but with %v", process.err)
		}
		s.check(tally{calls: 2})
	})
}

// apiServerAway lets the API server be away at a commit, until that has been tried
// so often, and come back.
func apiServerAway(t *testing.T, tries int64, flags ...string) (*process, *scene) {
	t.Helper()
	s := newSceneSoonDue(t)
	pod := s.newPod()
	reached := pod.api.hold(commit, false)
	probes := freeAddress(t)
	process := pod.start(append(flags, "--health-probe-bind-address="+probes)...)
	reached.await()
	commits, rest := pod.api.refuse(commit, 0), pod.api.refuse(anything, 0)
	pod.api.cut()
	s.await("the commit is tried again and again", func() bool {
		s.checkAlive(probes)
		return commits.count.Load() >= tries
	})
	if !process.lives() {
		t.Fatal("the manager ended before it had saved what it was sent")
	}
	commits.lift()
	rest.lift()
	s.await("the successor is saved", func() bool { return s.state("refresh_token") == s.grant().Current })
	return process, s
}

// checkAlive checks that a liveness probe succeeds.
func (s *scene) checkAlive(address string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, fmt.Sprintf("http://%s/healthz", address), nil)
	s.must(err)
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatalf("a liveness probe fails: %v", err)
	}
	s.must(reply.Body.Close())
	if reply.StatusCode != http.StatusOK {
		s.t.Fatalf("a liveness probe gets %s", reply.Status)
	}
}

// freeAddress is an address on loopback that nobody listens on, with a port that
// no connection is given by chance before somebody does.
func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000))
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
}
