// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package twins finds other states on the same refresh token, which is good for one of
// them, by the marks in their metadata. It reads, and writes nothing but those marks.
package twins

import (
	"context"
	"errors"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/encoding"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/look"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
)

// Finder finds them. It may be used by many goroutines, and must not be copied.
type Finder struct {
	// Client reads Secrets from the API server, not from a cache, and marks them.
	Client client.Client
	// Live reads TokenCredentials from the API server where Client reads them from a
	// cache; nil: Client reads both.
	Live client.Reader
	// Namespaces that are watched; all where there are none.
	Namespaces []string
	// Marks of this cluster.
	Marks marks.Marks
	// Looks are the looks for other states on a token, and their pace; its zero value
	// has none.
	Looks look.Looks[[]metav1.PartialObjectMetadata]

	oldMarksLock sync.Mutex
	oldMarks     marked // nil until the first look
}

// ErrContended: another state has a claim on the same refresh token.
var ErrContended = errors.New("another credential has claimed the same refresh token")

// What the Finder asks.
const (
	ActionList           store.Action = "list Secrets"
	ActionReadCredential store.Action = "read the TokenCredential of another state Secret"
)

// Twin is another state on the same refresh token, which goes before one's own.
type Twin struct {
	Namespace, Credential, StateSecret string
	// Orphaned: its TokenCredential is gone: deleted, renamed, or moved to another
	// namespace.
	Orphaned bool
	// Successor of the token, where it has spent that, which must not be sent again then;
	// empty: it has not.
	Successor rotation.Successor
}

// Older returns the state that goes before this one on the same refresh token:
// one that has spent it, whether or not its TokenCredential still exists, or an
// older one whose TokenCredential does. It returns nil where there is none.
//
// It looks at the API server, after the claim has marked this state: of two that
// look at the same time at least one sees the other. It fails with ErrContended,
// and the twin, where that has a claim on the token and may be sending it.
//
// The oldest is read first, and whoever goes before it ends the look: of thousands on one
// token each but the oldest reads one other.
func (f *Finder) Older(ctx context.Context, record *store.Record) (*Twin, error) {
	digest := record.State.RefreshToken.Digest()
	found, err := f.Looks.Find(ctx, f.Marks.Of(digest), f.listMarked)
	if err != nil {
		return nil, err
	}
	var contended *Twin
	looked := map[types.UID]bool{record.Metadata().GetUID(): true}
	for i := range found {
		if looked[found[i].UID] {
			continue
		}
		looked[found[i].UID] = true
		twin, err := f.compare(ctx, &found[i], record, digest)
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
func (f *Finder) compare(ctx context.Context, other *metav1.PartialObjectMetadata, record *store.Record, digest string) (*Twin, error) {
	own := record.Metadata()
	if !marks.IsState(other) {
		return nil, nil
	}
	stored := &corev1.Secret{}
	err := f.Client.Get(ctx, client.ObjectKeyFromObject(other), stored)
	if apierrors.IsNotFound(err) || err == nil && (stored.Type != v1alpha1.StateSecretType || !marks.IsState(stored)) {
		return nil, nil // deleted since, or a Secret that anyone may have made
	}
	if err != nil {
		return nil, store.Describe(store.ActionRead, err)
	}
	state, err := encoding.Decode(stored.Data)
	damaged := err != nil
	if stored.Namespace != own.GetNamespace() && !mayShare(state, record.State.Origin) {
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
	}
	if spent {
		twin.Successor = state.SuccessorOf(digest)
	}
	if twin.Orphaned, err = f.orphaned(ctx, twin); err != nil {
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
func hasSpent(s rotation.State, digest string) bool {
	return s.Spent.Contains(digest) ||
		digest == s.Seed && digest != s.RefreshToken.Digest() ||
		digest == s.PreviousSeed && digest != s.PreviousRefreshToken.Digest()
}

// orphaned reports whether the TokenCredential of a state is gone.
func (f *Finder) orphaned(ctx context.Context, twin *Twin) (bool, error) {
	reader := f.Live
	if reader == nil {
		reader = f.Client
	}
	credential := &metav1.PartialObjectMetadata{}
	credential.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TokenCredential"))
	err := reader.Get(ctx, client.ObjectKey{Namespace: twin.Namespace, Name: twin.Credential}, credential)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, store.Describe(ActionReadCredential, err)
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

// mayShare reports whether a state may hold the grant of another that is bound to an
// origin: one of its own is the same, or it is not known what either is bound to.
func mayShare(s rotation.State, other rotation.Origin) bool {
	return other.IsZero() || s.Origin.AdmitsRefresh(other) || !s.PreviousOrigin.IsZero() && s.PreviousOrigin.AdmitsRefresh(other)
}
