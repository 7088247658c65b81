// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Metrics of the operator's work. No label holds anything of a secret.
type Metrics struct {
	refreshes *prometheus.CounterVec
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	lateness  prometheus.Histogram
	unsaved   prometheus.Gauge
}

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenkeeper_refresh_total",
			Help: "Attempts to get an access token, by provider and by how they ended (a reason of the condition Refreshed).",
		}, []string{"provider", "result"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenkeeper_provider_requests_total",
			Help: "Requests sent to providers, by the HTTP status of the reply; none where no reply came.",
		}, []string{"provider", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tokenkeeper_refresh_duration_seconds",
			Help:    "Time from sending a request to a provider until its reply was read.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 13),
		}, []string{"provider"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tokenkeeper_refresh_lateness_seconds",
			Help:    "Time from a credential's nextRefreshTime until its refresh began.",
			Buckets: prometheus.ExponentialBuckets(0.01, 3, 11),
		}),
		unsaved: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tokenkeeper_unsaved_rotations",
			Help: "Rotated refresh tokens that wait in memory because the API server does not let the operator save them.",
		}),
	}
	registry.MustRegister(m.refreshes, m.requests, m.duration, m.lateness, m.unsaved)
	return m
}

// watchAttempts adds gauges of the attempts that are open.
func watchAttempts(registry prometheus.Registerer, attempts *attempts, clock clock.PassiveClock) error {
	return errors.Join(
		registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tokenkeeper_open_attempts",
			Help: "Single-use refresh tokens that were claimed and whose outcome is not known: under way, or waiting for a person.",
		}, func() float64 {
			n, _ := attempts.opened()
			return float64(n)
		})),
		registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tokenkeeper_oldest_open_attempt_seconds",
			Help: "Time since the oldest of them was claimed; 0 where there is none.",
		}, func() float64 {
			_, oldest := attempts.opened()
			if oldest.IsZero() {
				return 0
			}
			return max(clock.Now().Sub(oldest).Seconds(), 0)
		})),
	)
}

func (m *Metrics) exchanged(provider, code string, took time.Duration) {
	m.requests.WithLabelValues(provider, code).Inc()
	m.duration.WithLabelValues(provider).Observe(took.Seconds())
}

func (m *Metrics) refreshed(provider, result string) {
	m.refreshes.WithLabelValues(provider, result).Inc()
}

func (m *Metrics) started(late time.Duration) { m.lateness.Observe(max(late, 0).Seconds()) }

// CredentialCollector reads one set of gauges for each credential from the
// cache at the time of a scrape, so that none is left of a deleted one.
type CredentialCollector struct {
	// Reader reads TokenCredentials from the cache.
	Reader client.Reader
}

var (
	credentialLabels = []string{"namespace", "name", "provider"}

	expirationDesc = prometheus.NewDesc("tokenkeeper_credential_expiration_timestamp_seconds",
		"When the token in the target expires, in seconds since 1970.", credentialLabels, nil)
	refreshTokenExpirationDesc = prometheus.NewDesc("tokenkeeper_refresh_token_expiration_timestamp_seconds",
		"When the refresh token expires, in seconds since 1970, where known.", credentialLabels, nil)
	readyDesc = prometheus.NewDesc("tokenkeeper_credential_ready",
		"1 where the target holds a token that has not expired, else 0.", append(credentialLabels, "reason"), nil)
)

// Describe implements prometheus.Collector.
func (c *CredentialCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- expirationDesc
	descs <- refreshTokenExpirationDesc
	descs <- readyDesc
}

// Collect implements prometheus.Collector.
func (c *CredentialCollector) Collect(metrics chan<- prometheus.Metric) {
	var credentials v1alpha1.TokenCredentialList
	if err := c.Reader.List(context.Background(), &credentials, client.UnsafeDisableDeepCopy); err != nil {
		metrics <- prometheus.NewInvalidMetric(readyDesc, err)
		return
	}
	for i := range credentials.Items {
		collect(&credentials.Items[i], metrics)
	}
}

func collect(credential *v1alpha1.TokenCredential, metrics chan<- prometheus.Metric) {
	labels := []string{credential.Namespace, credential.Name, credential.Spec.ProviderRef.Name}
	at := func(desc *prometheus.Desc, moment *metav1.Time) {
		if moment != nil {
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(moment.Unix()), labels...)
		}
	}
	at(expirationDesc, credential.Status.ExpirationTime)
	at(refreshTokenExpirationDesc, credential.Status.RefreshTokenExpirationTime)
	if ready := meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.ReadyCondition); ready != nil {
		value := 0.0
		if ready.Status == metav1.ConditionTrue {
			value = 1
		}
		metrics <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, value, append(labels, ready.Reason)...)
	}
}
