// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// statuses remembers the status of a credential from the moment it is written
// until the cache shows it, so that a cache which lags does not lead to a second
// call. Its zero value is ready to use.
type statuses struct{ byUID sync.Map } // types.UID -> written

type written struct {
	status v1alpha1.TokenCredentialStatus
	// version of the credential with this status; 0 where the write failed and
	// is still owed.
	version uint64
}

// overlay puts a remembered status over that of the cache.
func (s *statuses) overlay(credential *v1alpha1.TokenCredential) {
	known, ok := s.byUID.Load(credential.UID)
	if !ok {
		return
	}
	latest := known.(written)
	if cached := version(credential.ResourceVersion); latest.version != 0 && cached >= latest.version {
		s.byUID.Delete(credential.UID)
		return
	}
	latest.status.DeepCopyInto(&credential.Status)
}

func (s *statuses) remember(credential *v1alpha1.TokenCredential, resourceVersion string, err error) {
	entry := written{status: credential.Status, version: version(resourceVersion)}
	if err != nil {
		entry.version = 0
	}
	s.byUID.Store(credential.UID, entry)
}

func (s *statuses) forget(uid types.UID) { s.byUID.Delete(uid) }

// version makes resource versions of one object comparable: the API server
// documents them as such, and hands out integers.
func version(resourceVersion string) uint64 {
	number, _ := strconv.ParseUint(resourceVersion, 10, 64)
	return number
}

// attempts remembers since when this process has seen other processes' claims,
// on its own clock: theirs may differ. Its zero value is ready to use.
type attempts struct {
	mu    sync.Mutex
	since map[string]time.Time // by the attempt's ID
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
