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
type statuses struct{ byName sync.Map } // types.NamespacedName -> *written

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
	latest := known.(*written)
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
	entry := &written{uid: wanted.UID, status: wanted.Status}
	if err == nil {
		entry.version = version(resourceVersion)
	}
	s.byName.Store(client.ObjectKeyFromObject(wanted), entry)
}

// seen forgets a status once the cache shows it or a later one.
func (s *statuses) seen(credential *v1alpha1.TokenCredential) {
	name := client.ObjectKeyFromObject(credential)
	known, ok := s.byName.Load(name)
	if !ok {
		return
	}
	if latest := known.(*written); latest.version != 0 && version(credential.ResourceVersion) >= latest.version {
		s.byName.CompareAndDelete(name, known)
	}
}

func (s *statuses) forget(name types.NamespacedName) { s.byName.Delete(name) }

// isOlder tells whether one version of an object came before another.
func isOlder(resourceVersion, than string) bool {
	one, other := version(resourceVersion), version(than)
	return 0 < one && one < other
}

// version makes resource versions of one object comparable: the API server
// documents them as such, and hands out integers.
func version(resourceVersion string) uint64 {
	number, _ := strconv.ParseUint(resourceVersion, 10, 64)
	return number
}

// hosts remembers which host a provider is asked at, for what is asked of it: that
// is known for sure only once a request has been built. Its zero value is ready to
// use.
type hosts struct{ bySource sync.Map } // what sourceDigest makes of the spec -> string

// of a credential; empty where it is not known.
func (h *hosts) of(credential *v1alpha1.TokenCredential) string {
	known, _ := h.bySource.Load(sourceDigest(credential.Spec.ProviderRef, credential.Spec.Parameters))
	host, _ := known.(string)
	return host
}

func (h *hosts) remember(credential *v1alpha1.TokenCredential, host string) {
	if h.of(credential) != host {
		h.bySource.Store(sourceDigest(credential.Spec.ProviderRef, credential.Spec.Parameters), host)
	}
}

// attempts remembers, of the attempts that stand in the states, which are open
// (under way, or of unknown outcome), which of its own this process knows that it
// never sent the token of, and since when it has seen those of others, on its own
// clock: theirs may differ. Its zero value is ready to use.
type attempts struct {
	mu           sync.Mutex
	byCredential map[types.NamespacedName]*seen
	// contended credentials met another's claim on their token.
	contended map[types.NamespacedName]contention
}

// seen is what is remembered of a credential's attempts, until its state has none.
type seen struct {
	open bool
	// unheard is true after a claim of which this process does not know whether it
	// stands.
	unheard bool
	started time.Time
	since   map[string]time.Time // by the attempt's ID
	unsent  map[string]bool      // by the attempt's ID
}

func (a *attempts) of(credential types.NamespacedName) *seen {
	known, ok := a.byCredential[credential]
	if !ok {
		if a.byCredential == nil {
			a.byCredential = map[types.NamespacedName]*seen{}
		}
		known = &seen{since: map[string]time.Time{}, unsent: map[string]bool{}}
		a.byCredential[credential] = known
	}
	return known
}

// observe notes whether an attempt stands in a credential's state.
func (a *attempts) observe(credential types.NamespacedName, attempt *rotation.Attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if attempt == nil {
		delete(a.byCredential, credential)
		return
	}
	known := a.of(credential)
	known.open, known.unheard, known.started = true, false, attempt.Started
}

// miss notes that a claim failed, or seemed to: it may stand all the same, and its
// token was not sent.
func (a *attempts) miss(credential types.NamespacedName, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.of(credential)
	known.unheard, known.unsent[id] = true, true
}

// isUnheard tells whether the state must be read to know if a claim stands.
func (a *attempts) isUnheard(credential types.NamespacedName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.byCredential[credential]
	return ok && known.unheard
}

// gone notes that there is no such credential.
func (a *attempts) gone(credential types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.contended, credential)
	delete(a.byCredential, credential)
}

// isOpen tells whether an attempt is open in a credential's state.
func (a *attempts) isOpen(credential types.NamespacedName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.byCredential[credential]
	return ok && known.open
}

// opened tells how many attempts are open, and when the oldest began.
func (a *attempts) opened() (n int, oldest time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, known := range a.byCredential {
		if !known.open {
			continue
		}
		n++
		if oldest.IsZero() || known.started.Before(oldest) {
			oldest = known.started
		}
	}
	return n, oldest
}

// isUnsent tells whether this process knows that it never sent the token of an
// attempt. Of what it does not know it takes the worse for true: a person may have
// put an older state back, with an attempt that ended long ago.
func (a *attempts) isUnsent(credential types.NamespacedName, id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.byCredential[credential]
	return ok && known.unsent[id]
}

// seenSince is when this process first saw an attempt.
func (a *attempts) seenSince(credential types.NamespacedName, attempt *rotation.Attempt, clock clock.PassiveClock) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	since := a.of(credential).since
	if _, ok := since[attempt.ID]; !ok {
		since[attempt.ID] = clock.Now()
	}
	return since[attempt.ID]
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
