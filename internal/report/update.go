// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
)

// Update is a status to be written.
type Update struct {
	// Credential that the status was computed for. It is not changed.
	Credential *v1alpha1.TokenCredential
	Status     v1alpha1.TokenCredentialStatus
	Events     []status.Event
	// Urgent updates go ahead of the others.
	Urgent bool
	// Rebase computes the status anew on top of one that another process has written
	// meanwhile.
	Rebase func(theirs v1alpha1.TokenCredentialStatus) v1alpha1.TokenCredentialStatus
}

// maxCoalesced bounds how many events, and how many computations of a status, wait for
// one write that fails again and again. The oldest go first.
const maxCoalesced = 8

// pending is a status that is to be written: that of one update, or of several that
// came one after the other. It is not changed once made.
type pending struct {
	credential *v1alpha1.TokenCredential
	status     v1alpha1.TokenCredentialStatus
	urgent     bool
	events     []status.Event
	// rebases compute the status anew, each on top of the one before: what an earlier
	// update reported is in no later one's.
	rebases []func(v1alpha1.TokenCredentialStatus) v1alpha1.TokenCredentialStatus
	// isRebased is true where the status is on top of another process's, and not the one for
	// which the next look at the credential was planned.
	isRebased bool
}

func pendingOf(update Update) *pending {
	p := &pending{credential: update.Credential, status: update.Status, urgent: update.Urgent, events: update.Events}
	if update.Rebase != nil {
		p.rebases = append(p.rebases, update.Rebase)
	}
	return p
}

// then coalesces with what came next. Either may be nil.
func (p *pending) then(next *pending) *pending {
	switch {
	case p == nil:
		return next
	case next == nil:
		return p
	}
	return &pending{
		credential: next.credential,
		status:     next.status,
		urgent:     p.urgent || next.urgent,
		events:     newest(slices.Concat(p.events, next.events)),
		rebases:    newest(slices.Concat(p.rebases, next.rebases)),
		isRebased:  next.isRebased,
	}
}

// rebased is what is to be written on top of a status of another process.
func (p *pending) rebased(theirs v1alpha1.TokenCredentialStatus) *pending {
	rebased := *p
	rebased.status, rebased.isRebased = theirs, true
	for _, rebase := range p.rebases {
		rebased.status = rebase(rebased.status)
	}
	return &rebased
}

func newest[T any](all []T) []T { return slices.Clone(all[max(0, len(all)-maxCoalesced):]) }
