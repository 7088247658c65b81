// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package call makes one request to a provider: from before it is built until its reply has
// been read. It has passed every check and has a slot and a place in the rate limit before
// anything is claimed for it. What may be claimed, and what becomes of a token, it does not
// know.
package call

import (
	"time"

	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/budget"
)

// ExchangeTimeout bounds one exchange with a provider.
const ExchangeTimeout = 30 * time.Second

// Caller calls providers. Safe for concurrent use.
type Caller struct {
	Egress egress.Caller
	// Courier says what became of exchanges that went by Egress; nil: nobody knows.
	Courier courier.Courier
	Rates   *budget.Rates
	Hosts   *pace.Hosts
	Metrics Metrics
	Clock   clock.PassiveClock
	// Key of the digests by which requests are told apart.
	Key digest.Key

	hosts    hostsBySource
	prepared preparations
}

// Metrics of what is sent.
type Metrics interface {
	// Exchanged counts a request by the HTTP status of its reply, "none" where none
	// came.
	Exchanged(provider, code string, took time.Duration)
}

// HostOf is the host that a credential's provider is asked at; empty where it is
// not known yet.
func (c *Caller) HostOf(credential *v1alpha1.TokenCredential) string {
	return c.hosts.of(inputs.SourceOf(credential.Spec.ProviderRef, credential.Spec.Parameters))
}
