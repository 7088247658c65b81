// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report carries what reconciles say to the API server, behind the tokens:
// a credential's status is written some time after its target, by a few writers of
// their own, and several refreshes of one credential share one write under load.
// Transitions of a condition go first. Events follow the status that they belong to,
// so that a transition which was not saved is not announced either.
//
// When the process ends, what waits is written and posted, within a bound; whoever
// reports after that writes and posts it itself. So it does not matter in which order
// the manager stops the controllers, the lane and the recorder.
//
// Nothing here decides what is said (status does), and nothing that protects a
// token waits here.
package report
