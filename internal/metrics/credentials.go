// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// CredentialCollector reads one set of gauges for each credential from the
// cache at the time of a scrape, so that none is left of a deleted one.
type CredentialCollector struct {
	// Reader reads TokenCredentials from the cache.
	Reader client.Reader
}

var (
	credentialLabels = []string{"namespace", "name", "provider"}

	expirationDesc = prometheus.NewDesc("tokenkeeper_credential_expiration_timestamp_seconds",
		"Unix time at which the access token in the target Secret expires.", credentialLabels, nil)
	refreshTokenExpirationDesc = prometheus.NewDesc("tokenkeeper_refresh_token_expiration_timestamp_seconds",
		"Unix time at which the refresh token expires; absent while unknown.", credentialLabels, nil)
	lastRefreshDesc = prometheus.NewDesc("tokenkeeper_credential_last_refresh_timestamp_seconds",
		"Unix time at which the current access token was obtained.", credentialLabels, nil)
	failedDesc = prometheus.NewDesc("tokenkeeper_credential_failed_attempts",
		"Attempts to refresh that failed in a row; absent while none has, or while the credential is suspended.", credentialLabels, nil)
	readyDesc = prometheus.NewDesc("tokenkeeper_credential_ready",
		"Whether the target Secret holds an unexpired access token (1) or not (0), by the reason of the condition Ready.", append(credentialLabels, "reason"), nil)
	stalledDesc = prometheus.NewDesc("tokenkeeper_credential_stalled",
		"1 while a person must act, by the reason of the condition Stalled; absent otherwise.", []string{"namespace", "name", "reason"}, nil)
)

// listTimeout bounds how long a scrape waits for a cache that is not synced yet.
const listTimeout = time.Second

// list reads from a cache. Where that cannot be done, as before the cache is synced, the
// gauges of it are absent: an invalid metric would cost the scrape all others.
func list(from client.Reader, into client.ObjectList) bool {
	ctx, cancel := context.WithTimeout(context.Background(), listTimeout)
	defer cancel()
	return from.List(ctx, into, client.UnsafeDisableDeepCopy) == nil
}

// Describe implements prometheus.Collector.
func (c *CredentialCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- expirationDesc
	descs <- refreshTokenExpirationDesc
	descs <- lastRefreshDesc
	descs <- failedDesc
	descs <- readyDesc
	descs <- stalledDesc
}

// Collect implements prometheus.Collector.
func (c *CredentialCollector) Collect(metrics chan<- prometheus.Metric) {
	var credentials v1alpha1.TokenCredentialList
	if !list(c.Reader, &credentials) {
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
	at(lastRefreshDesc, credential.Status.LastRefreshTime)
	if failed := credential.Status.FailedAttempts; failed > 0 && !credential.Spec.Suspend {
		metrics <- prometheus.MustNewConstMetric(failedDesc, prometheus.GaugeValue, float64(failed), labels...)
	}
	if ready := meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.ReadyCondition); ready != nil {
		value := 0.0
		if ready.Status == metav1.ConditionTrue {
			value = 1
		}
		metrics <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, value, append(labels, ready.Reason)...)
	}
	if stalled := meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.StalledCondition); stalled != nil {
		metrics <- prometheus.MustNewConstMetric(stalledDesc, prometheus.GaugeValue, 1, credential.Namespace, credential.Name, stalled.Reason)
	}
}
