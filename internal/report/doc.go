// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report carries what reconciles say to the API server, behind the tokens:
// a credential's status is written some time after its target, by a few writers of
// their own, and several refreshes of one credential share one write when there is
// much to do. What concerns a person goes first. Events follow the status that they
// belong to, so that a transition which was not saved is not announced either.
//
// Nothing here decides what is said (status does), and nothing that protects a
// token waits here.
package report
