// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubectl is the plugin `kubectl tokencredential`: one file for each command, with
// its flags and its help. A command reads objects with the rights of whoever calls it, hands
// them to a function that makes text of them, and prints that. The packages below it do the
// work: screen draws the one screen of `status`, authorize is the consent of `login`,
// manifest and installation are the two checks, trial and explain are of providers, bundle
// is the report, and cluster is what they all read.
//
// What it says of a credential is what the operator says, or what the operator's own
// packages find: it has no judgement of its own. No command prints the value of a Secret.
package kubectl
