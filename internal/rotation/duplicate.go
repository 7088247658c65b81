// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Labels by which two states on one refresh token find each other. Their values
// are digests keyed with the cluster's UID, so that they tell nothing.
const (
	seedLabel  = "tokenkeeper.io/seed"
	tokenLabel = "tokenkeeper.io/token"
)

// label marks a state Secret with the seed that it began with and with its live
// token.
func (s *Store) label(stored *corev1.Secret, state State) {
	for label, digest := range map[string]string{seedLabel: state.Seed, tokenLabel: state.RefreshToken.Digest()} {
		if digest == "" {
			delete(stored.Labels, label)
			continue
		}
		metav1.SetMetaDataLabel(&stored.ObjectMeta, label, s.keyed(digest))
	}
}

func (s *Store) keyed(digest string) string {
	mac := hmac.New(sha256.New, []byte(s.Cluster))
	mac.Write([]byte(digest))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// OlderTwin returns the older state that works on the same refresh token, its
// namespace and credential as in its Secret; nil where there is none. It looks at
// the API server, after the claim has marked this state: of two that look at the
// same time at least one sees the other, and only the younger gives way.
func (s *Store) OlderTwin(ctx context.Context, record *Record) (*metav1.PartialObjectMetadata, error) {
	mark := s.keyed(record.State.RefreshToken.Digest())
	for _, label := range []string{seedLabel, tokenLabel} {
		for _, namespace := range s.namespaces() {
			var marked metav1.PartialObjectMetadataList
			marked.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
			if err := s.Client.List(ctx, &marked, client.InNamespace(namespace), client.MatchingLabels{label: mark}); err != nil {
				return nil, describe(actionRead, err)
			}
			for i := range marked.Items {
				if isOlder(&marked.Items[i], record.secret) {
					return &marked.Items[i], nil
				}
			}
		}
	}
	return nil, nil
}

// namespaces to look into: those that are watched, or all of them.
func (s *Store) namespaces() []string {
	if len(s.Namespaces) == 0 {
		return []string{metav1.NamespaceAll}
	}
	return s.Namespaces
}

// isOlder puts any two Secrets in an order that everybody finds the same.
func isOlder(other *metav1.PartialObjectMetadata, own *corev1.Secret) bool {
	if !other.CreationTimestamp.Equal(&own.CreationTimestamp) {
		return other.CreationTimestamp.Before(&own.CreationTimestamp)
	}
	return other.UID < own.UID
}
