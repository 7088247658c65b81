// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Contention remembers which credentials met another that has claimed the same token. Its
// zero value is ready to use.
type Contention struct {
	mu           sync.Mutex
	byCredential map[types.NamespacedName]met
}

// met is since when, and when last, the other's claim was met.
type met struct{ since, last time.Time }

// Meet notes another's claim, and returns for how long it has been there.
func (c *Contention) Meet(credential types.NamespacedName, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byCredential == nil {
		c.byCredential = map[types.NamespacedName]met{}
	}
	known, ok := c.byCredential[credential]
	if !ok {
		known.since = now
	}
	known.last = now
	c.byCredential[credential] = known
	return now.Sub(known.since)
}

// End notes that no other's claim was met.
func (c *Contention) End(credential types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byCredential, credential)
}

// Last is when another's claim was last met; zero: it was not.
func (c *Contention) Last(credential types.NamespacedName) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byCredential[credential].last
}
