// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics counts the operator's work, and reads gauges of each credential
// from the caches when it is scraped. No label and no value holds anything of a
// secret.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

// Metrics of the operator's work. No label holds anything of a secret.
type Metrics struct {
	refreshes *prometheus.CounterVec
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	lateness  prometheus.Histogram
	unsaved   prometheus.Gauge
	nudges    *prometheus.CounterVec
	notified  *prometheus.CounterVec
}

// New registers the metrics.
func New(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenkeeper_refresh_total",
			Help: "Attempts to refresh a token, by provider and result (the reason of the condition Refreshed).",
		}, []string{"provider", "result"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenkeeper_provider_requests_total",
			Help: "Requests to providers, by the HTTP status code of the reply, or \"none\" if no reply was received.",
		}, []string{"provider", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tokenkeeper_refresh_duration_seconds",
			Help:    "Seconds from sending a request to a provider until its reply was read.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30},
		}, []string{"provider"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tokenkeeper_refresh_lateness_seconds",
			Help:    "Seconds from a credential's nextRefreshTime until its refresh started.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 600},
		}),
		unsaved: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tokenkeeper_unsaved_rotations",
			Help: "Rotated refresh tokens held in memory (and in the spool, if there is one) because the API server has not accepted them yet.",
		}),
		nudges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenkeeper_nudges_total",
			Help: "Pods that were to be nudged to see a new token, by result: nudged, gone, forbidden, refused, failed, dropped.",
		}, []string{"result"}),
		notified: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenkeeper_notifications_total",
			Help: "Tries to send a notification to --notify-url: sent, failed (it is tried again) or dropped (it is given up).",
		}, []string{"result"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "tokenkeeper_build_info",
		Help:        "1, by the operator's version.",
		ConstLabels: prometheus.Labels{"version": version.String()},
	})
	build.Set(1)
	registry.MustRegister(build, m.refreshes, m.requests, m.duration, m.lateness, m.unsaved, m.nudges, m.notified)
	return m
}

// Exchanged implements refresh.Metrics.
func (m *Metrics) Exchanged(provider, code string, took time.Duration) {
	m.requests.WithLabelValues(provider, code).Inc()
	m.duration.WithLabelValues(provider).Observe(took.Seconds())
}

// Refreshed counts an attempt by how it ended: a reason of the condition Refreshed.
func (m *Metrics) Refreshed(provider, result string) {
	m.refreshes.WithLabelValues(provider, result).Inc()
}

// Started observes how late a refresh began.
func (m *Metrics) Started(late time.Duration) { m.lateness.Observe(max(late, 0).Seconds()) }

// Notified counts what becomes of notifications.
func (m *Metrics) Notified(result string) { m.notified.WithLabelValues(result).Inc() }

// Unsaved implements refresh.Metrics.
func (m *Metrics) Unsaved(change int) { m.unsaved.Add(float64(change)) }

// Nudged counts a nudge of a pod by its result.
func (m *Metrics) Nudged(result string) { m.nudges.WithLabelValues(result).Inc() }
