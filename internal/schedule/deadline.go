// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import "time"

// firstTokenWithin is how soon a credential should have its first token.
const firstTokenWithin = 2 * time.Minute

// Deadline is by when a token is wanted: when the current one expires. Where there
// never was one, that is soon, but behind those that expire sooner.
func Deadline(expires, now time.Time) time.Time {
	if expires.IsZero() {
		return now.Add(firstTokenWithin)
	}
	return expires
}
