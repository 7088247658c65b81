// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package problem

import (
	"time"
)

// Pause asks for another reconcile without anything to report: another process is
// at work, or there is no room for the call.
type Pause struct {
	Until time.Time
	Why   string
}

// Error implements error.
func (p *Pause) Error() string { return p.Why }
