// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/budget"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/saving"
	"github.com/tokenkeeper/tokenkeeper/internal/report"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// TestARefreshThatIsRequestedTooEarlyWaitsForTheProvider asks for one at once.
func TestARefreshThatIsRequestedTooEarlyWaitsForTheProvider(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse+"\nrenewal: {earliestPercentage: 50}")
	s.reconcile("shop")
	s.after(time.Minute)
	s.respec(func(c *v1alpha1.TokenCredential) {
		c.Annotations = map[string]string{v1alpha1.RefreshAtAnnotation: "now"}
	})
	result := s.reconcile("shop")
	if s.calls != 1 || s.get("shop").Status.LastHandledRefreshAt != "" {
		t.Fatalf("%d calls were made: the provider would refuse it", s.calls)
	}
	for visits := 0; s.calls < 2 && visits < 5; visits++ { // it may be woken a moment before
		s.after(result.RequeueAfter)
		result = s.reconcile("shop")
	}
	if waited := s.clock.Now().Sub(noon); waited < 30*time.Minute || waited > 31*time.Minute {
		t.Errorf("the refresh came %s after the token, of which the provider wants half an hour", waited)
	}
	if s.calls != 2 || s.get("shop").Status.LastHandledRefreshAt != "now" {
		t.Fatalf("%d calls were made, the request is answered: %q", s.calls, s.get("shop").Status.LastHandledRefreshAt)
	}
	if result.RequeueAfter < 20*time.Minute {
		t.Errorf("it is looked at again in %s: nothing calls for that", result.RequeueAfter)
	}
}

// TestASecondHopIsMadeByTheProcessThatComesAfterACrash ends the process between the commit
// of what the first hop brought and the second hop, with its status unwritten.
func TestASecondHopIsMadeByTheProcessThatComesAfterACrash(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "killed between the commit and the second hop")
	const finish = `
finish:
- request: {method: POST, url: "https://hop.example/token", form: {token: "${accessToken}"}}
  response: {accessToken: body.access_token, failures: [{when: body.error == "unavailable", reason: ProviderUnavailable}]}
`
	s := newScene(t, singleUse+finish)
	s.reconcile("shop")
	if s.calls != 2 || s.token("shop") != "access-2" {
		t.Fatalf("%d calls, and the target holds %q, want the second hop's", s.calls, s.token("shop"))
	}
	s.after(50 * time.Minute)
	s.answerAt = map[int]string{4: "unavailable"} // as good as none: the process ends
	if _, err := s.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "team", Name: "shop"}}); err != nil {
		t.Fatal(err)
	}
	if s.calls != 4 || s.token("shop") != "access-2" {
		t.Fatalf("%d calls, and the target holds %q, want the token from before", s.calls, s.token("shop"))
	}
	s.restart()
	s.reconcile("shop")
	if s.calls != 5 || s.token("shop") != "access-5" {
		t.Errorf("%d calls, and the target holds %q, want the second hop alone", s.calls, s.token("shop"))
	}
	if shown := s.shows(v1alpha1.RefreshedCondition); !strings.HasPrefix(shown, "True") {
		t.Errorf("the status says %q", shown)
	}
}

// restart is another process: what was in memory, and unwritten, is gone.
func (s *scene) restart() {
	before := s.Refresher
	parts := s.Parts
	parts.Reports = &report.Lane{Client: s.cluster, Live: s.cluster, Events: s}
	inFlight := &sync.WaitGroup{}
	parts.Refresher = &refresh.Refresher{
		Inputs: before.Inputs, Twins: before.Twins,
		Calls: &call.Caller{
			Egress: s, Rates: &budget.Rates{}, Hosts: before.Calls.Hosts, Metrics: before.Calls.Metrics, Clock: before.Clock, Key: before.Calls.Key,
		},
		Saver: &saving.Saver{States: before.Saver.States, Metrics: before.Saver.Metrics, InFlight: inFlight},
		Clock: before.Clock, Holder: "two", InFlight: inFlight,
	}
	s.Reconciler = NewReconciler(parts)
}
