// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Class is the kind of attention a credential needs. Within a namespace the classes
// share by weight, so that none of them can keep another from being served.
type Class uint8

const (
	// Renewal: there is a token, which expires at the deadline, or has expired.
	// Served by earliest deadline.
	Renewal Class = iota
	// New: there has never been a token. First come, first served.
	New
	// Failing: the last attempt failed. First come, first served.
	Failing

	classes = 3
)

// strides are what one turn of each class costs; a class with the least spent is next.
// They are the inverse of the weights 6 : 3 : 1 for Renewal, New and Failing.
//
// Two of three turns stay with renewals while any number of new credentials come, so
// an installation whose renewals need less than that loses no token to them. Failing
// ones mostly fail again: a tenth is enough to notice that the cause is gone. A class
// that nobody waits in costs nothing: its share goes to the others.
var strides = [classes]uint64{Renewal: 1, New: 2, Failing: 6}

// Waiter is a credential that waits for its turn.
type Waiter struct {
	Who   types.NamespacedName
	Class Class
	// Deadline is when the token expires. It orders the class Renewal alone.
	Deadline time.Time
	// FailedAt is when the last attempt of a Failing one failed, if known. Hosts do
	// not hold a failure against it that an outage of theirs explains.
	FailedAt time.Time
}
