// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lifetime reads how long a token lives, as replies state it: a length or a
// moment, in any notation that has one meaning. It has no clock, judges no token, and
// quotes nothing of what it reads.
package lifetime
