// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// markPrefix begins the label by which two states on one refresh token find each
// other. A digest of the token follows, keyed with the cluster's UID, so that it
// tells nothing. It is in the label's key, since a state bears two of them, of the
// seed that it began with and of its live token, and the API server, which looks
// through all Secrets for a label, is to look once for either.
const markPrefix = "token.tokenkeeper.io/"

// What a token is to the state that bears its mark.
const (
	markLive  = "live"
	markSpent = "spent" // a seed that another token has followed
)

// label marks a state Secret with the seed that it began with and with its live
// token.
func (s *Store) label(stored *corev1.Secret, state State) {
	maps.DeleteFunc(stored.Labels, func(label, _ string) bool { return strings.HasPrefix(label, markPrefix) })
	if state.Seed != "" {
		metav1.SetMetaDataLabel(&stored.ObjectMeta, s.mark(state.Seed), markSpent)
	}
	if live := state.RefreshToken.Digest(); live != "" {
		metav1.SetMetaDataLabel(&stored.ObjectMeta, s.mark(live), markLive)
	}
}

// mark is the label of a token of that digest.
func (s *Store) mark(digest string) string {
	mac := hmac.New(sha256.New, []byte(s.Cluster))
	mac.Write([]byte(digest))
	return markPrefix + hex.EncodeToString(mac.Sum(nil)[:16])
}

// OlderTwin returns the state that goes before this one on the same refresh token,
// its namespace and credential as in its Secret; nil where there is none. It looks
// at the API server, after the claim has marked this state: of two that look at
// the same time at least one sees the other. It fails with ErrContended where the
// other cannot be told yet to have given way.
func (s *Store) OlderTwin(ctx context.Context, record *Record) (*metav1.PartialObjectMetadata, error) {
	mark := s.mark(record.State.RefreshToken.Digest())
	for _, namespace := range s.namespaces() {
		var marked metav1.PartialObjectMetadataList
		marked.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
		if err := s.Client.List(ctx, &marked, client.InNamespace(namespace), client.HasLabels{mark}); err != nil {
			return nil, describe(ActionRead, err)
		}
		for i := range marked.Items {
			other := &marked.Items[i]
			if ahead, err := s.isAhead(ctx, other, record.secret, mark); ahead || err != nil {
				return other, err
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

// isAhead tells whether another state goes before one's own on the token of a
// mark: because it has spent it, or because it is older.
func (s *Store) isAhead(ctx context.Context, other *metav1.PartialObjectMetadata, own *corev1.Secret, mark string) (bool, error) {
	switch {
	case other.UID == own.UID:
		return false, nil
	case other.Labels[mark] != markLive, isOlder(other, own):
		return true, nil
	}
	// The other is younger, but it may have looked before this claim was there to
	// be seen, since both may be of the same second.
	stored := &corev1.Secret{}
	if err := s.Client.Get(ctx, client.ObjectKeyFromObject(other), stored); err != nil {
		return false, describe(ActionRead, err)
	}
	if stored.Data[keyAttempt] != nil {
		return false, ErrContended
	}
	state, err := decode(stored.Data)
	// One that was lost stays in its state: spent, though it has no successor.
	return stored.Labels[mark] != markLive || err == nil && state.Lost(), nil
}

// isOlder puts any two Secrets in an order that everybody finds the same.
func isOlder(other *metav1.PartialObjectMetadata, own *corev1.Secret) bool {
	if !other.CreationTimestamp.Equal(&own.CreationTimestamp) {
		return other.CreationTimestamp.Before(&own.CreationTimestamp)
	}
	return other.UID < own.UID
}
