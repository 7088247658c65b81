// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package saving makes what a provider sent durable, and lets go of it only then: in a
// worker at first, and outside of the workers where the API server goes on refusing. Until
// it is saved it is in the spool too, and with the courier. What waits is bounded for each
// namespace.
package saving

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/memory"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/encoding"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/spool"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
)

// Saver saves. Safe for concurrent use, for one credential at a time.
type Saver struct {
	States *store.Store
	// Spool outlives this process; nil: there is none.
	Spool *spool.Spool
	// Courier keeps replies until they are saved; nil: there is none.
	Courier courier.Courier
	Metrics Counts
	// InFlight counts what is not saved yet: whoever ends the process waits for it first.
	InFlight *sync.WaitGroup
	// Go runs what outlives a refresh; nil: on a goroutine.
	Go func(ctx context.Context, run func(context.Context))
	// Wake asks for a credential's next reconcile; nil: nobody does.
	Wake func(types.NamespacedName)
	// Lost hears of a rotated token that was given up with its credential, which was
	// deleted; nil: nobody does.
	Lost func(*v1alpha1.TokenCredential, *problem.Problem)

	// Attempts is what is remembered of the states that were saved.
	Attempts memory.Attempts
	// Unsaved is what waits.
	Unsaved Unsaved
}

// Counts of what waits to be saved.
type Counts interface {
	// Refreshed counts an attempt by how it ended.
	Refreshed(provider, result string)
	// Unsaved counts rotated tokens that wait to be saved.
	Unsaved(change int)
}

// Waiting is what is to be reported of a credential's commit that waits; nil: none does.
func (s *Saver) Waiting(credential types.NamespacedName) error { return s.Unsaved.of(credential) }

// Resume takes back that a credential is gone, where it has been made again.
func (s *Saver) Resume(credential types.NamespacedName) { s.Unsaved.resume(credential) }

// Abandon notes that a credential is gone.
func (s *Saver) Abandon(credential types.NamespacedName) { s.Unsaved.abandon(credential) }

// Forget drops what a reply brought: it is saved, or nobody needs it any more.
func (s *Saver) Forget(attempt string) {
	s.Spool.Drop(attempt)
	s.HandOver(attempt)
}

// HandOver tells the courier that it need not keep the reply to an attempt any more.
func (s *Saver) HandOver(attempt string) {
	if s.Courier != nil && attempt != "" {
		s.Courier.Saved(attempt)
	}
}

// Backlogged says that so much of a credential's namespace waits to be saved that no
// more is risked; nil: there is room for whatever comes.
func (s *Saver) Backlogged(credential *v1alpha1.TokenCredential) error {
	const consequence = "so the provider is not asked: see whether a quota, a policy or an admission webhook forbids to change the state Secrets of the namespace"
	key := client.ObjectKeyFromObject(credential)
	if waiting := s.Unsaved.holdsUp(key); waiting > 0 {
		return problem.New(v1alpha1.PersistBlockedReason,
			"the rotated refresh tokens of %d other credentials cannot be saved, as much as the operator keeps in memory for a namespace, %s", waiting, consequence)
	}
	if !s.Spool.HasRoom(key.Namespace) {
		return problem.New(v1alpha1.PersistBlockedReason,
			"the spool holds as much as it may for a namespace that is not saved yet, %s", consequence)
	}
	return nil
}

// saveLater goes on with a commit outside the worker, and returns what is to be
// reported meanwhile. The process does not end before it is saved, or given up.
func (s *Saver) saveLater(ctx context.Context, credential *v1alpha1.TokenCredential, record store.Record, change rotation.Change, refusal error) error {
	key := client.ObjectKeyFromObject(credential)
	report := problem.New(v1alpha1.PersistBlockedReason,
		"%s: what the provider sent is kept in the operator's memory and tried again; see whether %s, and do not restart the operator",
		problem.OneLine(refusal), advice.WhatForbids(credential))
	next, _ := change(record.State)
	s.Unsaved.Add(key, report, encoding.Size(next))
	s.Metrics.Unsaved(1)
	s.InFlight.Add(1)
	spooled := record.State.Spooled()
	s.run(ctx, func(ctx context.Context) {
		defer s.InFlight.Done()
		ctx, giveUp := context.WithCancel(ctx)
		defer giveUp()
		err := s.States.Commit(ctx, credential, &record, change, func(last error) {
			if refusal = last; s.Unsaved.isAbandoned(key) && errors.Is(refusal, store.ErrBlocked) {
				giveUp()
			}
		})
		s.Attempts.Observe(key, &record)
		heldUp := s.Unsaved.remove(key)
		s.Metrics.Unsaved(-1)
		if err == nil || ctx.Err() != nil {
			s.Forget(spooled.Attempt)
		}
		if err != nil {
			log.FromContext(ctx).Error(err, "what the provider sent could not be saved")
		}
		if rotated := !next.RefreshToken.Equal(spooled.Sent); rotated && ctx.Err() != nil {
			s.tellLost(ctx, credential, refusal)
		}
		for _, waiter := range append(heldUp, key) {
			if s.Wake != nil {
				s.Wake(waiter)
			}
		}
	})
	return report
}

// tellLost tells of a rotated token that was given up with its credential: no status is
// there to say it.
func (s *Saver) tellLost(ctx context.Context, credential *v1alpha1.TokenCredential, refusal error) {
	p := advice.Abandoned(credential, refusal)
	log.FromContext(ctx).Error(nil, p.Message)
	s.Metrics.Refreshed(credential.Spec.ProviderRef.Name, p.Reason)
	if s.Lost != nil {
		s.Lost(credential, p)
	}
}

func (s *Saver) run(ctx context.Context, what func(context.Context)) {
	if s.Go != nil {
		s.Go(ctx, what)
		return
	}
	go what(ctx)
}
