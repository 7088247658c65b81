// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// anyStatus is the writing of any status.
func anyStatus(r request) bool {
	return r.method == http.MethodPatch && strings.HasSuffix(r.path, "/status")
}

// Statuses are written behind the tokens: what dies with them unwritten is known from
// the Secrets.
func TestKilledWithStatusesUnwritten(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "killed with statuses unwritten")
	s := newScene(t, simulator.Hour)
	p := s.newPod()
	refused := p.api.refuse(anyStatus, http.StatusServiceUnavailable)
	first := p.start()
	s.await("the token is in the target and the status is not written", func() bool {
		return s.data(name) != nil && refused.count.Load() > 0
	})
	first.kill()
	refused.lift()
	second := p.start()
	s.awaitFresh(1)
	s.check(tally{calls: 1})
	second.stop()
}

// Suspension stops calls, and no recovery.
func TestKilledBeforeTheCommitThenSuspended(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "killed before the commit, then suspended")
	s := newSceneSoonDue(t)
	p := s.newPod()
	committing := p.api.hold(commit, false)
	first := p.start()
	committing.await()
	first.kill()
	committing.drop()
	s.patch(&v1alpha1.TokenCredential{}, name, `{"spec":{"suspend":true}}`)
	second := p.start()
	s.await("the successor is in the state", func() bool { return s.state("refresh_token") == s.grant().Current && s.state("attempt") == "" })
	s.check(tally{calls: 2})
	second.stop()
	s.patch(&v1alpha1.TokenCredential{}, name, `{"spec":{"suspend":false}}`)
	third := p.start()
	s.awaitFresh(2)
	s.check(tally{calls: 2})
	third.stop()
}
