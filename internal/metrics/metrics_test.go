// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// gathered is what a scrape shows: values by the metric and its labels, of a histogram
// how often it was observed and the sum.
func gathered(t testing.TB, registry *prometheus.Registry) map[string]string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatalf("the whole scrape is lost: %v", err)
	}
	all := map[string]string{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			value := fmt.Sprint(metric.GetCounter().GetValue() + metric.GetGauge().GetValue())
			if h := metric.GetHistogram(); h != nil {
				value = fmt.Sprintf("%d times, %g", h.GetSampleCount(), h.GetSampleSum())
			}
			all[strings.TrimPrefix(family.GetName(), "tokenkeeper_")+"{"+strings.Join(labels, ",")+"}"] = value
		}
	}
	return all
}

// cache lists what it holds, or fails.
type cache struct {
	client.Reader
	credentials []v1alpha1.TokenCredential
	secrets     []metav1.PartialObjectMetadata
	err         error
	hangs       bool
}

// List implements client.Reader.
func (c cache) List(ctx context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if c.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	switch list := list.(type) {
	case *v1alpha1.TokenCredentialList:
		list.Items = c.credentials
	case *metav1.PartialObjectMetadataList:
		list.Items = c.secrets
	}
	return c.err
}

func TestWorkIsCounted(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		work         func(m *Metrics)
		want         map[string]string // beside what is there from the start
	}{
		{"nothing", "what has no label is there from the start", func(*Metrics) {}, nil},
		{"refreshes", "each provider and each result has a count of its own", func(m *Metrics) {
			m.Refreshed("shop", "Refreshed")
			m.Refreshed("shop", "Refreshed")
			m.Refreshed("shop", "RateLimited")
		}, map[string]string{
			"refresh_total{provider=shop,result=Refreshed}": "2", "refresh_total{provider=shop,result=RateLimited}": "1",
		}},
		{"requests", "the reply's code, and how long it took", func(m *Metrics) {
			m.Exchanged("shop", "200", time.Second)
			m.Exchanged("shop", "none", 3*time.Second)
		}, map[string]string{
			"provider_requests_total{code=200,provider=shop}": "1", "provider_requests_total{code=none,provider=shop}": "1",
			"refresh_duration_seconds{provider=shop}": "2 times, 4",
		}},
		{"a refresh that begins early", "it is not late, and takes nothing off the lateness of others", func(m *Metrics) {
			m.Started(2 * time.Second)
			m.Started(-time.Minute)
		}, map[string]string{"refresh_lateness_seconds{}": "2 times, 2"}},
		{"pods that were nudged", "each by its result", func(m *Metrics) { m.Nudged("nudged"); m.Nudged("nudged"); m.Nudged("gone") },
			map[string]string{"nudges_total{result=nudged}": "2", "nudges_total{result=gone}": "1"}},
		{"rotations that wait", "those that were saved are taken off", func(m *Metrics) { m.Unsaved(1); m.Unsaved(1); m.Unsaved(-1) },
			map[string]string{"unsaved_rotations{}": "1"}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewPedanticRegistry()
			each.work(New(registry))
			want := map[string]string{"build_info{version=" + version.String() + "}": "1", "unsaved_rotations{}": "0", "refresh_lateness_seconds{}": "0 times, 0"}
			maps.Copy(want, each.want)
			if diff := cmp.Diff(want, gathered(t, registry)); diff != "" {
				t.Errorf("(-want +got)\n%sreason: %s", diff, each.reason)
			}
		})
	}
}

func TestCredentialsAreReadFromTheCache(t *testing.T) {
	t.Parallel()
	credential := func(change func(*v1alpha1.TokenCredentialStatus)) v1alpha1.TokenCredential {
		c := v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "a"}}
		c.Spec.ProviderRef.Name = "shop"
		change(&c.Status)
		return c
	}
	suspended := func(c v1alpha1.TokenCredential) v1alpha1.TokenCredential {
		c.Spec.Suspend = true
		return c
	}
	condition := func(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason}
	}
	const of = "name=a,namespace=team"
	for _, each := range []struct {
		name, reason string
		cache        cache
		want         map[string]string
	}{
		{"no credential", "none is left of a deleted one", cache{}, map[string]string{}},
		{"one that nothing is known of", "what is not known is absent, not zero", cache{credentials: []v1alpha1.TokenCredential{credential(func(*v1alpha1.TokenCredentialStatus) {})}}, map[string]string{}},
		{"one that is fresh", "both tokens' ends are known", cache{credentials: []v1alpha1.TokenCredential{credential(func(s *v1alpha1.TokenCredentialStatus) {
			s.ExpirationTime, s.RefreshTokenExpirationTime = &metav1.Time{Time: time.Unix(1000, 0)}, &metav1.Time{Time: time.Unix(2000, 0)}
			s.LastRefreshTime = &metav1.Time{Time: time.Unix(500, 0)}
			s.Conditions = []metav1.Condition{condition(v1alpha1.ReadyCondition, metav1.ConditionTrue, "TokenValid")}
		})}}, map[string]string{
			"credential_expiration_timestamp_seconds{" + of + ",provider=shop}":    "1000",
			"credential_last_refresh_timestamp_seconds{" + of + ",provider=shop}":  "500",
			"refresh_token_expiration_timestamp_seconds{" + of + ",provider=shop}": "2000",
			"credential_ready{" + of + ",provider=shop,reason=TokenValid}":         "1",
		}},
		{"one whose attempts fail", "an alert can name it", cache{credentials: []v1alpha1.TokenCredential{credential(func(s *v1alpha1.TokenCredentialStatus) { s.FailedAttempts = 3 })}},
			map[string]string{"credential_failed_attempts{" + of + ",provider=shop}": "3"}},
		{"one that is suspended after failures", "nothing is tried, so nothing fails", cache{credentials: []v1alpha1.TokenCredential{suspended(credential(func(s *v1alpha1.TokenCredentialStatus) { s.FailedAttempts = 3 }))}}, map[string]string{}},
		{"one that a person must look after, with a token that still serves", "both can be alerted on", cache{credentials: []v1alpha1.TokenCredential{credential(func(s *v1alpha1.TokenCredentialStatus) {
			s.Conditions = []metav1.Condition{
				condition(v1alpha1.ReadyCondition, metav1.ConditionTrue, "TokenValid"),
				condition(v1alpha1.StalledCondition, metav1.ConditionTrue, "OutcomeUnknown"),
			}
		})}}, map[string]string{
			"credential_ready{" + of + ",provider=shop,reason=TokenValid}": "1",
			"credential_stalled{" + of + ",reason=OutcomeUnknown}":         "1",
		}},
		{"one without a token", "Ready is Unknown or False: it is not ready", cache{credentials: []v1alpha1.TokenCredential{credential(func(s *v1alpha1.TokenCredentialStatus) {
			s.Conditions = []metav1.Condition{condition(v1alpha1.ReadyCondition, metav1.ConditionUnknown, "Pending")}
		})}}, map[string]string{"credential_ready{" + of + ",provider=shop,reason=Pending}": "0"}},
		{"a cache that cannot be read", "the other metrics of the scrape are worth more than to know that", cache{err: errors.New("not started")}, map[string]string{}},
		{"a cache that is not synced", "a scrape waits a second, and not for ever", cache{hangs: true}, map[string]string{}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				registry := prometheus.NewPedanticRegistry()
				registry.MustRegister(&CredentialCollector{Reader: each.cache})
				if diff := cmp.Diff(each.want, gathered(t, registry)); diff != "" {
					t.Errorf("(-want +got)\n%sreason: %s", diff, each.reason)
				}
			})
		})
	}
}

func TestOpenAttemptsAreCountedByMetadata(t *testing.T) {
	t.Parallel()
	state := func(name, attempt string) metav1.PartialObjectMetadata {
		metadata := metav1.PartialObjectMetadata{}
		metadata.Name = name + v1alpha1.StateSecretSuffix
		metadata.Annotations = map[string]string{v1alpha1.CredentialAnnotation: name}
		if attempt != "" {
			metadata.Annotations[v1alpha1.AttemptAnnotation] = attempt
		}
		return metadata
	}
	other := metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "other", Annotations: map[string]string{v1alpha1.AttemptAnnotation: "2020-01-01T00:00:00Z"}}}
	for _, each := range []struct {
		name, reason string
		secrets      []metav1.PartialObjectMetadata
		open, oldest string
	}{
		{"no Secret", "zero is there from the start, for an alert to compare with", nil, "0", "0"},
		{"a state without an attempt", "it rests", []metav1.PartialObjectMetadata{state("a", "")}, "0", "0"},
		{"two attempts", "the age is that of the oldest", []metav1.PartialObjectMetadata{state("a", "2026-01-02T11:59:00Z"), state("b", ""), state("c", "2026-01-02T11:00:00Z")}, "2", "3600"},
		{"an attempt that starts in the future", "another's clock may be ahead", []metav1.PartialObjectMetadata{state("a", "2026-01-02T12:00:05Z")}, "1", "0"},
		{"an attempt whose start cannot be read", "it counts, and hides no other's age", []metav1.PartialObjectMetadata{state("a", "2026-01-02T11:59:00Z"), state("b", "lately")}, "2", "60"},
		{"a Secret that is no state", "anyone may annotate a Secret", []metav1.PartialObjectMetadata{other}, "0", "0"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewPedanticRegistry()
			registry.MustRegister(&AttemptCollector{Secrets: cache{secrets: each.secrets}, Clock: clocktesting.NewFakePassiveClock(noon)})
			want := map[string]string{"open_attempts{}": each.open, "oldest_open_attempt_seconds{}": each.oldest}
			if diff := cmp.Diff(want, gathered(t, registry)); diff != "" {
				t.Errorf("(-want +got)\n%sreason: %s", diff, each.reason)
			}
		})
	}
}

// TestHelpTextsAreSentences reads what an operator of Prometheus reads.
func TestHelpTextsAreSentences(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	m := New(registry)
	m.Refreshed("shop", "Refreshed")
	m.Exchanged("shop", "200", time.Second)
	m.Nudged("nudged")
	m.Notified("sent")
	stalled := v1alpha1.TokenCredential{}
	stalled.Status.LastRefreshTime, stalled.Status.FailedAttempts = &metav1.Time{Time: noon}, 1
	stalled.Status.ExpirationTime, stalled.Status.RefreshTokenExpirationTime = &metav1.Time{Time: noon}, &metav1.Time{Time: noon}
	stalled.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition}, {Type: v1alpha1.StalledCondition}}
	registry.MustRegister(&CredentialCollector{Reader: cache{credentials: []v1alpha1.TokenCredential{stalled}}},
		&AttemptCollector{Secrets: cache{}, Clock: clocktesting.NewFakePassiveClock(noon)})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, family := range families {
		names = append(names, family.GetName())
		if help := family.GetHelp(); !strings.HasSuffix(help, ".") || strings.ToUpper(help[:1]) != help[:1] {
			t.Errorf("the help of %s is no sentence: %s", family.GetName(), help)
		}
	}
	if diff := cmp.Diff([]string{
		"tokenkeeper_build_info",
		"tokenkeeper_credential_expiration_timestamp_seconds",
		"tokenkeeper_credential_failed_attempts",
		"tokenkeeper_credential_last_refresh_timestamp_seconds",
		"tokenkeeper_credential_ready",
		"tokenkeeper_credential_stalled",
		"tokenkeeper_notifications_total",
		"tokenkeeper_nudges_total",
		"tokenkeeper_oldest_open_attempt_seconds",
		"tokenkeeper_open_attempts",
		"tokenkeeper_provider_requests_total",
		"tokenkeeper_refresh_duration_seconds",
		"tokenkeeper_refresh_lateness_seconds",
		"tokenkeeper_refresh_token_expiration_timestamp_seconds",
		"tokenkeeper_refresh_total",
		"tokenkeeper_unsaved_rotations",
	}, slices.Sorted(slices.Values(names))); diff != "" {
		t.Errorf("the names are a contract (-want +got)\n%s", diff)
	}
}
