// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package explain says of providers what a credential must bring to them: of all of them in a
// table, of one on a page, with manifests to fill in.
//
// It is pure: it makes texts of descriptions.
package explain
