// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trial tries a provider's description without a cluster: it compiles it, shows the
// requests that it would send, with placeholders where secrets go, and says how it reads
// replies.
//
// It is pure: the description, the replies and the time are given, and nothing is sent.
package trial
