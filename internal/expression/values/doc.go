// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package values turns what CEL computes into values of Go, and those into texts, within
// bounds on their size.
//
// The values may be secret: no error of this package holds one.
package values
