// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import "time"

// sweepEvery is how often the whole of a map is looked through for what can be
// forgotten. It bounds how long that outlives its use, at next to no cost.
const sweepEvery = time.Minute

// sweeper says when to look for what can be forgotten.
type sweeper struct{ last time.Time }

// due reports whether it is time, and notes that it is done. A clock that was set back
// makes it due too.
func (s *sweeper) due(now time.Time) bool {
	if since := now.Sub(s.last); since >= 0 && since < sweepEvery {
		return false
	}
	s.last = now
	return true
}
