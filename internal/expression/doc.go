// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expression is the one language that users of TokenKeeper write: CEL,
// either alone or inside a string as ${...}.
//
// An Environment says which variables and functions an expression may use.
// Names, types and cost are checked when an expression is compiled, so that what
// compiles can only fail over the values it meets, in bounded time. A problem is
// an *Error with the field, line and column that a person has to look at.
//
// The values may be secret. No error of this package holds a value: CEL's own
// texts quote them, and are replaced by a few fixed sentences.
//
// The package knows neither Kubernetes nor HTTP, and does no I/O.
package expression
