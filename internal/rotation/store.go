// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"cmp"
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
	// ErrContended: another state has a claim on the same refresh token.
	ErrContended = errors.New("another credential has claimed the same refresh token")
	// ErrForeignAttempt: a transition would have removed an attempt that it did not
	// end. It is a mistake of the caller's.
	ErrForeignAttempt = errors.New("another process has claimed the refresh token of the state Secret")
	// ErrGone: the namespace is gone, and the credential with it.
	ErrGone = errors.New("the namespace is gone")
	// ErrBlocked: the API server refuses to save, and will again until someone
	// changes something.
	ErrBlocked = errors.New("the API server refuses to save the state Secret")
)

// commitBackoff paces the retries of a commit. It never gives up: Steps only
// bounds the doubling.
var commitBackoff = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 10 * time.Second}

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

// Store keeps states in Secrets.
type Store struct {
	// Client reads Secrets from the API server, not from a cache, and writes
	// them.
	Client client.Client
	// Cluster is the UID of this cluster (of its namespace kube-system).
	Cluster string
	// Namespaces that are watched; all where there are none.
	Namespaces []string
	// Backoff paces the retries of a commit; nil: commitBackoff. A simulation
	// has a clock of its own and does not wait.
	Backoff *wait.Backoff
}

// Record is a state together with the Secret that it was read from.
type Record struct {
	// State as it stands in the API server.
	State State
	// Copied is true where the Secret is a copy of another one: restored from a
	// backup, or carried over from another cluster. Its refresh token may have
	// been spent since.
	Copied bool

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
		return s.None(credential), nil
	}
	if err != nil {
		return nil, describe(actionRead, err)
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
	state, err := decode(stored.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	state.copied = state.Identity.differsFrom(Identity{Secret: string(stored.UID), Cluster: s.Cluster})
	return &Record{State: state, Copied: state.copied, secret: stored}, nil
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
	if open := record.State.Attempt; open != nil && next.ended != open.ID && (next.Attempt == nil || next.Attempt.ID != open.ID) {
		return ErrForeignAttempt
	}
	next.copied, next.ended = false, ""
	stored := record.secret.DeepCopy()
	next.Identity = Identity{Secret: string(stored.UID), Cluster: s.Cluster}
	if stored.Data == nil {
		stored.Data = map[string][]byte{}
	}
	if err := next.encode(stored.Data); err != nil {
		return err
	}
	if next.Attempt != nil && size(stored.Data) > roomForClaim {
		return fmt.Errorf("%w (it is too large to take in another token)", ErrBlocked)
	}
	s.label(stored, next)
	// Nobody else writes this Secret. Who owns which field of it is not worth what it
	// costs the API server to work that out at each write; an empty entry says so.
	stored.ManagedFields = []metav1.ManagedFieldsEntry{{}}
	action, write := actionUpdate, func() error { return s.Client.Update(ctx, stored) }
	if !record.Exists() {
		action, write = actionCreate, func() error { return s.Client.Create(ctx, stored) }
	}
	if err := write(); err != nil {
		return describe(action, err)
	}
	record.State, record.Copied, record.secret = next, false, stored
	return nil
}

// Change is a transition that a commit makes durable. It is asked again whenever
// someone else has changed the Secret, and says false where what is stored has
// moved on, so that the transition has no place any more.
type Change func(stored State) (next State, ok bool)

// Commit makes a transition durable. While a claim stands, the token that was
// sent is spent and its successor is nowhere else, so the commit is tried until it
// succeeds or ctx ends, and refused hears of each refusal; without a claim nothing
// is at stake and the first refusal is returned.
//
// Someone else's change of the Secret is merged: the commit goes on from what is
// stored, as long as the change has a place in it (else ErrSuperseded). A state
// Secret that was deleted meanwhile is made again.
func (s *Store) Commit(ctx context.Context, credential *v1alpha1.TokenCredential, record *Record, change Change, refused func(error)) error {
	sent := record.State
	stale := false
	var refusal error
	try := func(ctx context.Context) (done bool, err error) {
		refusal = s.commitOnce(ctx, credential, record, sent, change, stale)
		stale = errors.Is(refusal, ErrConflict)
		if refusal == nil || errors.Is(refusal, ErrGone) || errors.Is(refusal, ErrSuperseded) {
			return true, nil
		}
		if !stale {
			refused(refusal)
		}
		return sent.Attempt == nil && !stale, nil
	}
	if err := cmp.Or(s.Backoff, &commitBackoff).DelayFunc().Until(ctx, true, true, try); err != nil {
		return errors.Join(refusal, err)
	}
	return refusal
}

// commitOnce tries a commit once, on what is stored now where the record is
// stale.
func (s *Store) commitOnce(ctx context.Context, credential *v1alpha1.TokenCredential, record *Record, sent State, change Change, stale bool) error {
	if stale {
		latest, err := s.Load(ctx, credential)
		if err != nil {
			return err
		}
		if !latest.Exists() {
			latest.State = sent
		}
		*record = *latest
	}
	next, ok := change(record.State)
	if !ok {
		return ErrSuperseded
	}
	return s.Save(ctx, record, next)
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
