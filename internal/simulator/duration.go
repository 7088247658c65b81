// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"time"
)

// Duration is a time.Duration that reads and writes itself as text, such as
// "5s", so that a person can set it through the control interface.
type Duration time.Duration

// The usual units, so that a lifetime reads 5 * simulator.Second.
const (
	Millisecond = Duration(time.Millisecond)
	Second      = Duration(time.Second)
	Minute      = Duration(time.Minute)
	Hour        = Duration(time.Hour)
	Day         = 24 * Hour
)

// String implements fmt.Stringer.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A negative duration is
// refused.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 {
		return fmt.Errorf("%q is no duration: write something like 5s or 15m", text)
	}
	*d = Duration(parsed)
	return nil
}

// seconds is the whole seconds of a lifetime, as expires_in states it.
func (d Duration) seconds() int64 { return int64(time.Duration(d) / time.Second) }
