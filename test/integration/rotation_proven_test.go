// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// leavesTokens is an OAuth 2.0 server that leaves the refresh token as it is.
func leavesTokens(o *simulator.Options) {
	o.OAuth.Rotation.NewRefreshToken = simulator.Never
}

// rotates is one that gives another with each n-th refresh, and spends the old one.
func rotates(n int) func(*simulator.Options) {
	return func(o *simulator.Options) {
		o.OAuth.Rotation.NewRefreshToken, o.OAuth.Rotation.Every = simulator.Sometimes, n
	}
}

// provenWorld is a world whose oauth2 credential lives on a token that is proven.
func provenWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, simulator.Hour)
	w.simulator.Configure(leavesTokens)
	w.start()
	builtInNamed(t, "oauth2").create(w)
	w.awaitRefreshes("oauth2", 1)
	w.awaitFresh("oauth2")
	if w.read("oauth2-token-state")["proven"] == nil {
		t.Fatal("the state has no proof of a token that has worked and stayed as it was")
	}
	return w
}

func TestAGatewaysErrorIsTriedAgainWithAProvenToken(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a plain 502, to a token that the provider had left as it was")
	w := provenWorld(t)
	w.simulator.QueueFault(simulator.Match{}, 1, simulator.Fault{AfterActing: true, Reply: &simulator.Reply{Status: http.StatusBadGateway, Body: "<html>"}})
	w.askForRefresh("oauth2", "a")
	failed := w.await("oauth2", "a renewal that failed", func(c *v1alpha1.TokenCredential) bool { return c.Status.FailedAttempts == 1 })
	if refreshed := meta.FindStatusCondition(failed.Status.Conditions, v1alpha1.RefreshedCondition); refreshed.Reason != v1alpha1.ProviderUnavailableReason {
		t.Errorf("the reason is %s (%s), want ProviderUnavailable", refreshed.Reason, refreshed.Message)
	}
	if stalled := meta.FindStatusCondition(failed.Status.Conditions, v1alpha1.StalledCondition); stalled != nil {
		t.Errorf("a person is asked: %s", stalled.Message)
	}
	w.awaitRefreshes("oauth2", 2)
	w.awaitFresh("oauth2")
}

func TestAProviderThatBeginsToRotate(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a provider that begins to rotate after years")
	for _, each := range []struct {
		name, reason string
		lost         bool
	}{
		{"the answer arrives", "its successor is saved and goes on as any single-use token", false},
		{"the answer is lost", "the token is sent again, and its refusal is told as what it is", true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := provenWorld(t)
			w.simulator.Configure(rotates(1))
			if each.lost {
				w.simulator.QueueFault(simulator.Match{}, 1, simulator.Fault{AfterActing: true, Reset: true})
			}
			w.askForRefresh("oauth2", "a")
			if each.lost {
				stalled := w.await("oauth2", "a stall", func(c *v1alpha1.TokenCredential) bool {
					return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.StalledCondition)
				})
				condition := meta.FindStatusCondition(stalled.Status.Conditions, v1alpha1.StalledCondition)
				if condition.Reason != v1alpha1.ReauthorizationRequiredReason || !strings.Contains(condition.Message, "begun to rotate") {
					t.Errorf("it stalls with %s: %s\nreason: %s", condition.Reason, condition.Message, each.reason)
				}
				return
			}
			w.awaitRefreshes("oauth2", 2)
			w.awaitFresh("oauth2")
			w.holdsCurrent()
			if w.read("oauth2-token-state")["proven"] != nil {
				t.Error("of the successor nothing is proven")
			}
		})
	}
}

func TestAProviderThatRotatesNowAndThen(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a provider that rotates now and then")
	w := newWorld(t, simulator.Hour)
	w.simulator.Configure(rotates(2))
	w.start()
	builtInNamed(t, "oauth2").create(w)
	for refresh := int64(1); refresh <= 4; refresh++ {
		if refresh > 1 {
			w.askForRefresh("oauth2", fmt.Sprint(refresh))
		}
		w.awaitRefreshes("oauth2", refresh)
		w.awaitFresh("oauth2")
		w.holdsCurrent()
		proven, rotated := w.read("oauth2-token-state")["proven"] != nil, refresh%2 == 0
		if proven == rotated {
			t.Errorf("after refresh %d the token is proven: %t, and the provider has given another: %t", refresh, proven, rotated)
		}
	}
}

// holdsCurrent checks that the state holds the provider's current refresh token, and that
// no spent one was sent.
func (w *world) holdsCurrent() {
	w.t.Helper()
	grant, _ := w.simulator.Grant(simulator.DemoOAuthGrant)
	if w.state("oauth2", "refresh_token") != grant.Current {
		w.t.Error("the state does not hold the provider's current refresh token")
	}
	if totals := w.simulator.Totals(); totals.Reuses != 0 {
		w.t.Errorf("spent tokens were sent %d times", totals.Reuses)
	}
}
