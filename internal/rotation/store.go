// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var (
	// ErrForeign: a Secret stands where the state belongs, and is none.
	ErrForeign = errors.New("the Secret is not a state Secret of this credential")
	// ErrUnreadable: the state Secret was damaged by hand.
	ErrUnreadable = errors.New("the state Secret cannot be read")
	// ErrConflict: someone else changed the state since it was read.
	ErrConflict = errors.New("the state Secret has changed since it was read")
	// ErrSuperseded: the state has moved on to another refresh token, so what
	// the reply brought has no place in it.
	ErrSuperseded = errors.New("the state Secret has moved on to another refresh token")
	// ErrGone: the namespace is gone, and the credential with it.
	ErrGone = errors.New("the namespace is gone")
	// ErrBlocked: the API server refuses to save, and will again until someone
	// changes something.
	ErrBlocked = errors.New("the API server refuses to save the state Secret")
)

// commitBackoff paces the retries of a commit. It never gives up: Steps only
// bounds the doubling.
var commitBackoff = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 10 * time.Second}

// Store keeps states in Secrets.
type Store struct {
	// Client reads Secrets from the API server, not from a cache, and writes
	// them.
	Client client.Client
	// Cluster is the UID of this cluster (of its namespace kube-system).
	Cluster string
}

// Record is a state together with the Secret that it was read from.
type Record struct {
	// State as it stands in the API server.
	State State

	secret *corev1.Secret
}

// Exists tells whether the state Secret does.
func (r *Record) Exists() bool { return r.secret.ResourceVersion != "" }

// ResourceVersion of the state Secret; empty while there is none.
func (r *Record) ResourceVersion() string { return r.secret.ResourceVersion }

// Load reads a credential's state; the state of a credential that has none is
// empty.
func (s *Store) Load(ctx context.Context, credential *v1alpha1.TokenCredential) (*Record, error) {
	stored := &corev1.Secret{}
	key := client.ObjectKey{Namespace: credential.Namespace, Name: credential.StateSecretName()}
	err := s.Client.Get(ctx, key, stored)
	if apierrors.IsNotFound(err) {
		return &Record{secret: newSecret(credential)}, nil
	}
	if err != nil {
		return nil, describe(actionRead, err)
	}
	return read(stored, credential)
}

func read(stored *corev1.Secret, credential *v1alpha1.TokenCredential) (*Record, error) {
	if stored.Type != v1alpha1.StateSecretType || stored.Annotations[v1alpha1.CredentialAnnotation] != credential.Name {
		return nil, ErrForeign
	}
	state, err := decode(stored.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return &Record{State: state, secret: stored}, nil
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
// ErrBlocked, or an error that a retry may cure.
func (s *Store) Save(ctx context.Context, record *Record, next State) error {
	stored := record.secret.DeepCopy()
	next.Identity = Identity{Secret: string(stored.UID), Cluster: s.Cluster}
	if stored.Data == nil {
		stored.Data = map[string][]byte{}
	}
	if err := next.encode(stored.Data); err != nil {
		return err
	}
	action, write := actionUpdate, func() error { return s.Client.Update(ctx, stored) }
	if !record.Exists() {
		action, write = actionCreate, func() error { return s.Client.Create(ctx, stored) }
	}
	if err := write(); err != nil {
		return describe(action, err)
	}
	record.State, record.secret = next, stored
	return nil
}

// Commit makes durable what a reply brought. While a claim stands, the token
// that was sent is spent and its successor is nowhere else, so the commit is
// tried until it succeeds or ctx ends; without a claim nothing is at stake and
// the first refusal is returned.
//
// Someone else's change of the Secret is merged: the commit goes on from what is
// stored, as long as that still holds the token that was sent (else
// ErrSuperseded). A state Secret that was deleted meanwhile is made again.
func (s *Store) Commit(ctx context.Context, credential *v1alpha1.TokenCredential, record *Record, next func(State) State) error {
	sent := record.State
	stale := false
	var refusal error
	try := func(ctx context.Context) (done bool, err error) {
		if stale {
			refusal = s.reload(ctx, credential, record, sent)
		}
		if !stale || refusal == nil {
			refusal = s.Save(ctx, record, next(record.State))
			stale = errors.Is(refusal, ErrConflict)
		}
		final := errors.Is(refusal, ErrGone) || errors.Is(refusal, ErrSuperseded)
		return refusal == nil || final || (sent.Attempt == nil && !stale), nil
	}
	if err := commitBackoff.DelayFunc().Until(ctx, true, true, try); err != nil {
		return errors.Join(refusal, err)
	}
	return refusal
}

// reload reads the state again after a conflict.
func (s *Store) reload(ctx context.Context, credential *v1alpha1.TokenCredential, record *Record, sent State) error {
	latest, err := s.Load(ctx, credential)
	switch {
	case err != nil:
		return err
	case !latest.Exists():
		latest.State = sent
	case !latest.State.RefreshToken.Equal(sent.RefreshToken):
		return ErrSuperseded
	}
	*record = *latest
	return nil
}

// What was asked of the API server.
const (
	actionRead   = "read"
	actionCreate = "create"
	actionUpdate = "update"
)

// describe tells what the API server said about a Secret without repeating it,
// since its texts may quote what was written.
func describe(action string, err error) error {
	reason := apierrors.ReasonForError(err)
	switch {
	case action == actionCreate && apierrors.IsNotFound(err):
		return ErrGone
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		return ErrConflict
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err), apierrors.IsBadRequest(err):
		return fmt.Errorf("%w (%s)", ErrBlocked, reason)
	case reason == metav1.StatusReasonUnknown:
		return fmt.Errorf("cannot %s the state Secret: the API server could not be reached or gave no reason", action)
	default:
		return fmt.Errorf("cannot %s the state Secret: the API server says %s", action, reason)
	}
}
