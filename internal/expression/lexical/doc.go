// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lexical knows how CEL is written: its names, its string literals, the braces around
// an expression inside of a text, and where in a text a byte is.
//
// It sees texts that may be no CEL at all, and judges none.
package lexical
