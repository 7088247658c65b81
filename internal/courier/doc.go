// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package courier carries an exchange with a provider through the death of the manager
// that asked for it. It takes a request under the ID of its attempt, sends it once, seals
// the reply before it answers, and keeps it until the manager says that it is saved. A
// manager that comes back asks what became of its predecessor's attempts.
//
// A courier is a process of its own beside the manager (Serve and Connect, over a unix
// socket), or the same code within it (New). It has the way out and no right in the
// cluster; the manager has the cluster and need not speak to a provider. So the package
// knows no Kubernetes client, neither providers nor states, and of what it carries only
// names: no reply is on a disk in clear, and none is in its memory for longer than it takes
// to seal it. The key comes with the request and is forgotten with it. It is made from the
// token that was sent, which is in the state Secret: so a courier that was restarted cannot
// read what its predecessor has left, and the manager can.
//
// What it must never do is to send a request of one attempt twice, or to say that it has
// never received what it may have forgotten. So "never received" is the word of the very
// process that the claim names (Instance), about the time that it remembers, and from then
// on it takes nothing under that ID.
package courier
