// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package store keeps states in Secrets: each transition is made durable with an update at
// the resourceVersion that was read, so of two writers one fails. It writes nothing but
// state Secrets.
package store

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/encoding"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
)

// roomForClaim is how large a state Secret may be when a token is claimed, so that
// its successor still fits into the 1 MiB that a Secret may have.
const roomForClaim = 768 << 10

func size(data map[string][]byte) int {
	total := 0
	for key, value := range data {
		total += len(key) + len(value)
	}
	return total
}

// Store keeps states in Secrets. It may be used by many goroutines, and must not be
// copied.
type Store struct {
	// Client reads Secrets from the API server, not from a cache, and writes
	// them.
	Client client.Client
	// Cluster is the UID of this cluster (of its namespace kube-system).
	Cluster string
	// Key of the digests in state Secrets: of the marks by which states on one token find
	// each other, and of the proof.
	Key digest.Key
	// Backoff paces the retries of a commit; nil: commitBackoff. A simulation
	// has a clock of its own and does not wait.
	Backoff *wait.Backoff
}

// Marks of the states of this store.
func (s *Store) Marks() marks.Marks { return marks.Marks{Key: s.Key, Cluster: s.Cluster} }

// Record is a state together with the Secret that it was read from.
type Record struct {
	// State as it stands in the API server.
	State rotation.State
	// Copied is true where the Secret is a copy of another one: restored from a
	// backup, or carried over from another cluster. Its refresh token may have
	// been spent since.
	Copied bool

	secret *corev1.Secret
}

// Exists reports whether the state Secret does.
func (r *Record) Exists() bool { return r.secret.ResourceVersion != "" }

// ResourceVersion of the state Secret; empty while there is none.
func (r *Record) ResourceVersion() string { return r.secret.ResourceVersion }

// Metadata of the state Secret, which is not to be changed.
func (r *Record) Metadata() metav1.Object { return r.secret }

// Load reads a credential's state; the state of a credential that has none is
// empty.
func (s *Store) Load(ctx context.Context, credential *v1alpha1.TokenCredential) (*Record, error) {
	stored := &corev1.Secret{}
	key := client.ObjectKey{Namespace: credential.Namespace, Name: credential.StateSecretName()}
	err := s.Client.Get(ctx, key, stored)
	if apierrors.IsNotFound(err) {
		return s.None(credential), nil
	}
	if err != nil {
		return nil, Describe(ActionRead, err)
	}
	return s.read(stored, credential)
}

// None is the record of a credential that is known to have no state.
func (s *Store) None(credential *v1alpha1.TokenCredential) *Record {
	return &Record{secret: newSecret(credential)}
}

func (s *Store) read(stored *corev1.Secret, credential *v1alpha1.TokenCredential) (*Record, error) {
	if stored.Type != v1alpha1.StateSecretType || stored.Annotations[v1alpha1.CredentialAnnotation] != credential.Name {
		return nil, ErrForeign
	}
	state, err := encoding.Decode(stored.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	state.Copied = state.Identity.DiffersFrom(rotation.Identity{Secret: string(stored.UID), Cluster: s.Cluster})
	state.Proof = s.readProof(stored, state)
	return &Record{State: state, Copied: state.Copied, secret: stored}, nil
}

func newSecret(credential *v1alpha1.TokenCredential) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   credential.Namespace,
			Name:        credential.StateSecretName(),
			Labels:      map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
			Annotations: map[string]string{v1alpha1.CredentialAnnotation: credential.Name},
		},
		Type: v1alpha1.StateSecretType,
	}
}

// Save makes a state durable, once, at the resourceVersion that was read. On
// success the record holds what is stored now. It fails with ErrConflict,
// ErrBlocked, or with ErrUnreachable or ErrUnavailable, which a retry may cure;
// and with ErrForeignAttempt where the record holds an attempt that next lacks
// although no transition ended it.
func (s *Store) Save(ctx context.Context, record *Record, next rotation.State) error {
	if open := record.State.Attempt; open != nil && next.Ended != open.ID && (next.Attempt == nil || next.Attempt.ID != open.ID) {
		return ErrForeignAttempt
	}
	stored := record.secret.DeepCopy()
	next.Identity = rotation.Identity{Secret: string(stored.UID), Cluster: s.Cluster}
	next.Copied, next.Ended = next.Held, ""
	if next.Held {
		next.Identity.Secret = heldIdentity
	}
	trust(stored, &next)
	if stored.Data == nil {
		stored.Data = map[string][]byte{}
	}
	if err := errors.Join(encoding.Encode(next, stored.Data), s.writeProof(stored, next)); err != nil {
		return err
	}
	if next.Attempt != nil && size(stored.Data) > roomForClaim {
		return &APIError{Action: action(record), Reason: metav1.StatusReasonRequestEntityTooLarge, kind: ErrBlocked}
	}
	s.Marks().Label(stored, next)
	marks.Annotate(&stored.ObjectMeta, next.Attempt)
	// No one else writes this Secret. Who owns which field of it is not worth what it
	// costs the API server to work that out at each write; an empty entry says so.
	stored.ManagedFields = []metav1.ManagedFieldsEntry{{}}
	write := func() error { return s.Client.Update(ctx, stored) }
	if !record.Exists() {
		write = func() error { return s.Client.Create(ctx, stored) }
	}
	if err := write(); err != nil {
		return Describe(action(record), err)
	}
	record.State, record.Copied, record.secret = next, next.Copied, stored
	return nil
}

// Remove deletes a state Secret whose tokens are of no more use, as it was read: one that
// somebody has changed since stays (ErrConflict).
func (s *Store) Remove(ctx context.Context, record *Record) error {
	if !record.Exists() {
		return nil
	}
	err := s.Client.Delete(ctx, record.secret, client.Preconditions{UID: &record.secret.UID, ResourceVersion: &record.secret.ResourceVersion})
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return Describe(ActionDelete, err)
}

// action that saves a record.
func action(record *Record) Action {
	if record.Exists() {
		return ActionUpdate
	}
	return ActionCreate
}
