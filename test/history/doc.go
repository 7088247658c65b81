// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history drives the operator through random histories.
package history
