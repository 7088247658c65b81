// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pace shares among credentials what there is too little of: workers, and the
// slots of each provider's host. It is fair by namespace, and within a namespace nobody
// waits for ever. The calls that a rate limit allows, and the attempts that edits cause,
// are handed out by package budget.
//
//   - [Order] is the one fair order: of the work queue (package queue) and of those
//     who wait for a host.
//   - [Hosts] bounds the calls in flight to each host, and breaks the circuit.
//
// The package makes no calls, starts no goroutine and has no clock: it decides who
// may go now, and calls back for those who had to wait and may go. All of it is in
// memory and belongs to one process; what has had no effect for a while is forgotten.
package pace
