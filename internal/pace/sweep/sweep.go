// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sweep says when to look through a map for what can be forgotten. It has no clock,
// and looks at nothing itself.
package sweep

import "time"

// Every is how often the whole of a map is looked through for what can be
// forgotten. It bounds how long that outlives its use, at next to no cost.
const Every = time.Minute

// Sweeper says when to look for what can be forgotten.
type Sweeper struct{ last time.Time }

// Due reports whether it is time, and notes that it is done. A clock that was set back
// makes it due too.
func (s *Sweeper) Due(now time.Time) bool {
	if since := now.Sub(s.last); since >= 0 && since < Every {
		return false
	}
	s.last = now
	return true
}
