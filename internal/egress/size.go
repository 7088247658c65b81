// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, as a flag's value: 65536, 64Ki, 1Mi.
type Size int64

const (
	// DefaultMaxReply is the size of the largest reply that is read, in bytes, as
	// received and as unpacked, each. A reply with tokens takes one to ten kibibytes;
	// some bring a user's profile along.
	DefaultMaxReply Size = 256 << 10

	// minReply and maxReply are what the flag may say: not so little that an honest
	// reply is cut short, nor so much that few replies take the whole of readingBudget.
	minReply Size = 16 << 10
	maxReply Size = 4 << 20
)

// Set implements flag.Value.
func (s *Size) Set(text string) error {
	digits, unit := text, int64(1)
	for suffix, times := range map[string]int64{"Ki": 1 << 10, "Mi": 1 << 20} {
		if before, found := strings.CutSuffix(text, suffix); found {
			digits, unit = before, times
		}
	}
	number, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return fmt.Errorf("%q is no size; write it like 256Ki or 1Mi", text)
	}
	size := Size(int64(number) * unit) //nolint:gosec // 31 bits times 20
	if size < minReply || size > maxReply {
		return fmt.Errorf("%s is not from %s to %s", size, minReply, maxReply)
	}
	*s = size
	return nil
}

// String implements flag.Value.
func (s Size) String() string {
	switch {
	case s == 0:
		return ""
	case s%(1<<20) == 0:
		return strconv.FormatInt(int64(s)>>20, 10) + "Mi"
	case s%(1<<10) == 0:
		return strconv.FormatInt(int64(s)>>10, 10) + "Ki"
	default:
		return strconv.FormatInt(int64(s), 10)
	}
}
