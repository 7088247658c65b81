// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hint says of an expression that does not compile what is wrong and what to write
// instead: in plain words, for those who know another language better than CEL.
//
// It quotes nothing but the expression and the names that may stand in it, and never
// decides whether an expression compiles.
package hint
