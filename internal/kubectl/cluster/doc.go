// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster is the API server as the plugin's caller reaches it: the connection, the
// credentials that a command is about, and the Secrets that a credential names. What it
// may do there, the caller's rights say.
//
// It judges nothing and prints nothing.
package cluster
