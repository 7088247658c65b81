// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// statuses remembers the status of a credential from the moment it is written
// until the cache shows it, so that a cache which lags does not lead to a second
// call. Its zero value is ready to use.
type statuses struct{ byName sync.Map } // types.NamespacedName -> written

type written struct {
	uid    types.UID
	status v1alpha1.TokenCredentialStatus
	// version of the credential with this status; 0 where the write failed and
	// is still owed.
	version uint64
}

// overlay puts a remembered status over that of the cache, and tells whether it
// is still owed to the API server.
func (s *statuses) overlay(credential *v1alpha1.TokenCredential) (owed bool) {
	name := client.ObjectKeyFromObject(credential)
	known, ok := s.byName.Load(name)
	if !ok {
		return false
	}
	latest := known.(written)
	caughtUp := latest.version != 0 && version(credential.ResourceVersion) >= latest.version
	if caughtUp || latest.uid != credential.UID {
		s.byName.Delete(name)
		return false
	}
	latest.status.DeepCopyInto(&credential.Status)
	return latest.version == 0
}

// remember keeps a status that was written, or that failed to be: the next visit
// then goes on from it and writes it again.
func (s *statuses) remember(wanted *v1alpha1.TokenCredential, resourceVersion string, err error) {
	entry := written{uid: wanted.UID, status: wanted.Status}
	if err == nil {
		entry.version = version(resourceVersion)
	}
	s.byName.Store(client.ObjectKeyFromObject(wanted), entry)
}

func (s *statuses) forget(name types.NamespacedName) { s.byName.Delete(name) }

// version makes resource versions of one object comparable: the API server
// documents them as such, and hands out integers.
func version(resourceVersion string) uint64 {
	number, _ := strconv.ParseUint(resourceVersion, 10, 64)
	return number
}

// attempts remembers which attempts are open (under way, or of unknown outcome),
// which of its own claims this process came to act on, and
// since when it has seen those of other processes, on its own clock: theirs may
// differ. Its zero value is ready to use.
type attempts struct {
	mu    sync.Mutex
	since map[string]time.Time // by the attempt's ID
	sent  map[string]bool      // by the attempt's ID
	open  map[types.NamespacedName]time.Time
	// contended credentials met another's claim on their token.
	contended map[types.NamespacedName]contention
}

// contention is since when, and when last, another credential was met that has
// claimed the same token.
type contention struct{ since, last time.Time }

// contend notes another's claim, and returns for how long it has been there.
func (a *attempts) contend(credential types.NamespacedName, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.contended == nil {
		a.contended = map[types.NamespacedName]contention{}
	}
	known, ok := a.contended[credential]
	if !ok {
		known.since = now
	}
	known.last = now
	a.contended[credential] = known
	return now.Sub(known.since)
}

// uncontend notes that no other's claim was met.
func (a *attempts) uncontend(credential types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.contended, credential)
}

// lastContended is when another's claim was last met; zero: it was not.
func (a *attempts) lastContended(credential types.NamespacedName) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.contended[credential].last
}

// observe notes whether an attempt is open in a credential's state.
func (a *attempts) observe(credential types.NamespacedName, attempt *rotation.Attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if attempt == nil {
		delete(a.open, credential)
		return
	}
	if a.open == nil {
		a.open = map[types.NamespacedName]time.Time{}
	}
	a.open[credential] = attempt.Started
}

// isOpen tells whether an attempt is open in a credential's state.
func (a *attempts) isOpen(credential types.NamespacedName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, open := a.open[credential]
	return open
}

// opened tells how many attempts are open, and when the oldest began.
func (a *attempts) opened() (n int, oldest time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, started := range a.open {
		if oldest.IsZero() || started.Before(oldest) {
			oldest = started
		}
	}
	return len(a.open), oldest
}

// send notes that this process is about to send the token of its own attempt.
func (a *attempts) send(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sent == nil {
		a.sent = map[string]bool{}
	}
	a.sent[id] = true
}

// wasSent tells whether this process came to send the token of an attempt. A
// claim whose update seemed to fail may stand all the same, and then was not.
func (a *attempts) wasSent(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent[id]
}

func (a *attempts) seenSince(attempt *rotation.Attempt, clock clock.PassiveClock) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since == nil {
		a.since = map[string]time.Time{}
	}
	if _, ok := a.since[attempt.ID]; !ok {
		a.since[attempt.ID] = clock.Now()
	}
	return a.since[attempt.ID]
}
