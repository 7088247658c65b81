// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const (
	// firstPause follows the first repair; each further one doubles it.
	firstPause = time.Second
	// longestPause is the most between two repairs.
	longestPause = 5 * time.Minute
	// quietTime without a repair ends a series.
	quietTime = 2 * longestPause
	// contestedAfter so many repairs somebody else must be at work.
	contestedAfter = 3
	// fewestToPrune keeps small populations from being searched for old entries.
	fewestToPrune = 1024
)

// Repairs gives repairs of targets a pace: the first is made at once, and those that
// follow it soon are made ever later. It is in memory alone, so that a restart
// begins anew. Safe for concurrent use; use NewRepairs.
//
// The backoffs of client-go count, but do not say when the next try is due.
type Repairs struct {
	clock  clock.PassiveClock
	mu     sync.Mutex
	series map[types.NamespacedName]series
	prune  int // the number of series at which those that are over are dropped
}

// series is a number of repairs of one target with less than quietTime in between.
type series struct {
	count int
	last  time.Time
	held  bool // a repair waits for its turn
}

// next is when the next repair may be made.
func (s series) next() time.Time {
	pause := firstPause
	for range s.count - 1 {
		if pause *= 2; pause >= longestPause {
			return s.last.Add(longestPause)
		}
	}
	return s.last.Add(pause)
}

// over reports whether the series has ended. So it has where the clock was set
// back.
func (s series) over(now time.Time) bool {
	return now.Sub(s.last) >= quietTime || s.last.Sub(now) > longestPause
}

// NewRepairs makes an empty memory of repairs.
func NewRepairs(passive clock.PassiveClock) *Repairs {
	return &Repairs{clock: passive, series: map[types.NamespacedName]series{}, prune: fewestToPrune}
}

// Pace reports whether a credential's target may be repaired now, else when; and
// after how many repairs in this series.
func (r *Repairs) Pace(credential types.NamespacedName) (allowed bool, next time.Time, count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	current, known := r.series[credential]
	if !known || current.over(now) {
		return true, now, 0
	}
	next = current.next()
	return !now.Before(next), next, current.count
}

// Note records a repair, or an attempt at one, and returns how many were made in
// this series.
func (r *Repairs) Note(credential types.NamespacedName) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	current := r.series[credential]
	if current.over(now) {
		current = series{}
	}
	r.series[credential] = series{count: current.count + 1, last: now}
	if len(r.series) > r.prune {
		for key, some := range r.series {
			if some.over(now) {
				delete(r.series, key)
			}
		}
		r.prune = max(fewestToPrune, 2*len(r.series))
	}
	return current.count + 1
}

// HoldBack notes that a repair waits for its turn, or that none does any more.
func (r *Repairs) HoldBack(credential types.NamespacedName, held bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if current, known := r.series[credential]; known {
		current.held = held
		r.series[credential] = current
	}
}

// IsHeldBack reports whether a repair waits for its turn: what is to be repaired looks
// as it was last seen, and yet there is something to do.
func (r *Repairs) IsHeldBack(credential types.NamespacedName) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.series[credential].held
}

// Forget drops what is known of a credential, when it is deleted.
func (r *Repairs) Forget(credential types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.series, credential)
}

// Contended reports whether so many repairs in one series mean that somebody else
// writes the same fields.
func Contended(repairs int) bool { return repairs >= contestedAfter }

// ContestMessage says, for people, who undoes the repairs of a target and what to
// do. It goes with the reason TargetConflict, on a condition that does not stall:
// repairs go on, the next at the time given.
func ContestMessage(credential *v1alpha1.TokenCredential, view View, next time.Time) string {
	again := "the next repair is at " + next.UTC().Format(time.RFC3339)
	if !view.Exists {
		return fmt.Sprintf("something keeps deleting the target Secret %q: the API server's audit log names it; have it leave this Secret alone; %s", credential.TargetName(), again)
	}
	if len(view.Contested) == 0 {
		what := "the data"
		if len(view.Undressed) > 0 {
			what = list(view.Undressed)
		}
		return fmt.Sprintf("something keeps changing %s of the target Secret %q, and the Secret's managedFields do not name it (an admission webhook or policy that changes Secrets as they are written, or a client that deletes): have it leave this Secret alone; %s",
			what, credential.TargetName(), again)
	}
	var writers []string
	for start := 0; start < len(view.Contested); {
		manager, fields := view.Contested[start].Manager, []string(nil)
		for ; start < len(view.Contested) && view.Contested[start].Manager == manager; start++ {
			fields = append(fields, view.Contested[start].Field)
		}
		writers = append(writers, fmt.Sprintf("%q writes %s", manager, list(fields)))
	}
	return fmt.Sprintf("another writer keeps changing the target Secret %q: the field manager %s: have it leave these alone, or change spec.target.template so that they are not written; %s",
		credential.TargetName(), strings.Join(limited(writers), "; "), again)
}

// list is a list for people, cut where it is long.
func list(items []string) string { return strings.Join(limited(items), ", ") }

func limited(items []string) []string {
	const most = 3
	if len(items) <= most {
		return items
	}
	return append(items[:most:most], "and more")
}
