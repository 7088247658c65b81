// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
)

// AttemptCollector counts the attempts that are open, by the state Secrets' metadata
// in the cache: whoever made them, and before anything was reconciled.
type AttemptCollector struct {
	// Secrets reads the metadata of Secrets from the cache.
	Secrets client.Reader
	Clock   clock.PassiveClock
}

var (
	openAttemptsDesc = prometheus.NewDesc("tokenkeeper_open_attempts",
		"Attempts to exchange a single-use refresh token that have no outcome yet: in flight, or unresolved until a person acts.", nil, nil)
	oldestAttemptDesc = prometheus.NewDesc("tokenkeeper_oldest_open_attempt_seconds",
		"Seconds since the oldest open attempt started; 0 while there is none.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *AttemptCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- openAttemptsDesc
	descs <- oldestAttemptDesc
}

// Collect implements prometheus.Collector.
func (c *AttemptCollector) Collect(metrics chan<- prometheus.Metric) {
	secrets := &metav1.PartialObjectMetadataList{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if !list(c.Secrets, secrets) {
		return
	}
	open, age, now := 0, 0.0, c.Clock.Now()
	for i := range secrets.Items {
		started, isOpen := marks.OpenAttempt(&secrets.Items[i])
		if !isOpen {
			continue
		}
		if open++; !started.IsZero() { // else its start cannot be read
			age = max(age, now.Sub(started).Seconds())
		}
	}
	metrics <- prometheus.MustNewConstMetric(openAttemptsDesc, prometheus.GaugeValue, float64(open))
	metrics <- prometheus.MustNewConstMetric(oldestAttemptDesc, prometheus.GaugeValue, age)
}
