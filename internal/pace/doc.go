// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pace bounds what is sent to providers: so many calls in each period, as
// a provider's description says, and so many at the same time to each host. It
// waits for nothing and calls nobody: it tells who may go now, and wakes who had
// to wait, in the order of their deadlines. All of it is in memory and of one
// process.
package pace
