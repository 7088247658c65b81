// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package functions is what expressions may call beside what CEL has: hashes, encodings, JSON,
// moments, JWTs, and signatures by keys that package keys reads.
//
// Their arguments may be secret: no error of theirs holds a value. What a call may cost is
// bounded by whoever compiles the expression.
package functions
