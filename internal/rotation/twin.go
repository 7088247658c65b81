// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Twin is another state on the same refresh token, which goes before one's own.
type Twin struct {
	Namespace, Credential, StateSecret string
	// Orphaned: its TokenCredential is gone: deleted, renamed, or moved to another
	// namespace.
	Orphaned bool
	// Spent: it has sent the token, which must not be sent again. The successor is in
	// the state Secret, under the key refresh_token, unless it was lost.
	Spent bool
	// Lost: the token was spent, and its successor never arrived.
	Lost bool
}

// OlderTwin returns the state that goes before this one on the same refresh token:
// one that has spent it, whether or not its TokenCredential still exists, or an
// older one whose TokenCredential does. It returns nil where there is none.
//
// It looks at the API server, after the claim has marked this state: of two that
// look at the same time at least one sees the other. It fails with ErrContended,
// and the twin, where that has a claim on the token and may be sending it.
//
// The oldest is read first, and whoever goes before it ends the look: of thousands on one
// token each but the oldest reads one other.
func (s *Store) OlderTwin(ctx context.Context, record *Record) (*Twin, error) {
	digest := record.State.RefreshToken.Digest()
	found, err := s.Looks.Find(ctx, s.mark(digest), s.listMarked)
	if err != nil {
		return nil, err
	}
	var contended *Twin
	looked := map[types.UID]bool{record.secret.UID: true}
	for i := range found {
		if looked[found[i].UID] {
			continue
		}
		looked[found[i].UID] = true
		twin, err := s.compare(ctx, &found[i], record, digest)
		switch {
		case errors.Is(err, ErrContended):
			contended = twin
		case twin != nil || err != nil:
			return twin, err
		}
	}
	if contended != nil {
		return contended, ErrContended
	}
	return nil, nil
}

// compare decides whether another Secret's state goes before one's own on a token.
// What the Secret holds now decides, not its labels, which are an index.
func (s *Store) compare(ctx context.Context, other *metav1.PartialObjectMetadata, record *Record, digest string) (*Twin, error) {
	own := record.secret
	if !isState(other) {
		return nil, nil
	}
	stored := &corev1.Secret{}
	err := s.Client.Get(ctx, client.ObjectKeyFromObject(other), stored)
	if apierrors.IsNotFound(err) || err == nil && (stored.Type != v1alpha1.StateSecretType || !isState(stored)) {
		return nil, nil // deleted since, or a Secret that anyone may have made
	}
	if err != nil {
		return nil, describe(ActionRead, err)
	}
	state, err := decode(stored.Data)
	damaged := err != nil
	if stored.Namespace != own.Namespace && !state.mayShare(record.State.Origin) {
		return nil, nil // no call of the one can spend what the other has, and to tell of it would tell a stranger that a guess is right
	}
	live := state.RefreshToken.Digest() == digest
	spent := hasSpent(state, digest) || damaged && !live
	if !live && !spent {
		return nil, nil // it has moved on, and did not spend the token
	}
	older := isOlder(stored, own)
	sending := damaged || state.Attempt != nil && state.Attempt.Token == digest
	if !spent && !older && !sending {
		return nil, nil // it gives way
	}
	twin := &Twin{
		Namespace: stored.Namespace, Credential: stored.Annotations[v1alpha1.CredentialAnnotation], StateSecret: stored.Name,
		Spent: spent, Lost: spent && live,
	}
	if twin.Orphaned, err = s.orphaned(ctx, twin); err != nil {
		return nil, err
	}
	switch {
	case spent, older && !twin.Orphaned:
		return twin, nil
	case sending:
		// It may be sending the token: a younger one may have looked before this claim
		// was there to be seen, since both may be of the same second.
		return twin, ErrContended
	default:
		return nil, nil
	}
}

// hasSpent reports whether a state has spent a token: by the ledger, or, since that
// is bounded, because another token has followed a seed.
func hasSpent(s State, digest string) bool {
	return s.Spent.Contains(digest) ||
		digest == s.Seed && digest != s.RefreshToken.Digest() ||
		digest == s.PreviousSeed && digest != s.PreviousRefreshToken.Digest()
}

// orphaned reports whether the TokenCredential of a state is gone.
func (s *Store) orphaned(ctx context.Context, twin *Twin) (bool, error) {
	reader := s.Live
	if reader == nil {
		reader = s.Client
	}
	credential := &metav1.PartialObjectMetadata{}
	credential.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TokenCredential"))
	err := reader.Get(ctx, client.ObjectKey{Namespace: twin.Namespace, Name: twin.Credential}, credential)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, describe(ActionReadCredential, err)
	}
	return err != nil, nil
}

// isOlder puts any two Secrets in an order that is the same for both.
func isOlder(other, own metav1.Object) bool {
	one, two := other.GetCreationTimestamp(), own.GetCreationTimestamp()
	if !one.Equal(&two) {
		return one.Before(&two)
	}
	return other.GetUID() < own.GetUID()
}

// byAge puts the oldest first.
func byAge(one, two metav1.PartialObjectMetadata) int {
	switch {
	case isOlder(&one, &two):
		return -1
	case isOlder(&two, &one):
		return 1
	}
	return 0
}
