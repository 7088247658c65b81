// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
)

func TestHowACredentialWaits(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: noon.Add(d)} }
	for _, each := range []struct {
		name, reason string
		known        v1alpha1.TokenCredentialStatus
		want         pace.Waiter
	}{
		{"without a token", "its pods wait for one", v1alpha1.TokenCredentialStatus{},
			pace.Waiter{Class: pace.New, Deadline: noon}},
		{"with a token", "it goes by when that expires", v1alpha1.TokenCredentialStatus{ExpirationTime: at(time.Hour)},
			pace.Waiter{Class: pace.Renewal, Deadline: noon.Add(time.Hour)}},
		{"after a failure", "those who fail by themselves hold up nobody else", v1alpha1.TokenCredentialStatus{ExpirationTime: at(time.Hour), FailedAttempts: 1, LastFailureTime: at(-time.Minute)},
			pace.Waiter{Class: pace.Failing, Deadline: noon.Add(time.Hour), FailedAt: noon.Add(-time.Minute)}},
		{"after a failure that has no time", "an older version wrote none", v1alpha1.TokenCredentialStatus{FailedAttempts: 1},
			pace.Waiter{Class: pace.New, Deadline: noon}},
		{"well again", "what failed before is over", v1alpha1.TokenCredentialStatus{ExpirationTime: at(time.Hour), LastFailureTime: at(-time.Minute)},
			pace.Waiter{Class: pace.Renewal, Deadline: noon.Add(time.Hour)}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}, Status: each.known}
			each.want.Who = types.NamespacedName{Namespace: "team", Name: "shop"}
			if diff := cmp.Diff(each.want, Waiter(credential, noon)); diff != "" {
				t.Errorf("(-want +got):\n%s\nreason: %s", diff, each.reason)
			}
		})
	}
}

func TestAHostIsKnownOnceARequestWasBuilt(t *testing.T) {
	t.Parallel()
	hosts := &hostsBySource{}
	if got := hosts.of("mcs"); got != "" {
		t.Errorf("%q is known before any request was built", got)
	}
	hosts.remember("mcs", "a.example")
	hosts.remember("xiaomi", "b.example")
	if got := hosts.of("mcs"); got != "a.example" {
		t.Errorf("mcs is asked at %q, want a.example", got)
	}
	hosts.remember("mcs", "c.example")
	if got := hosts.of("mcs"); got != "c.example" {
		t.Errorf("mcs is asked at %q, want c.example\nreason: its parameters may name another", got)
	}
}
