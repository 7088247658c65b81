// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keys reads private keys and certificates however they were kept, and signs with
// them. It knows texts and bytes, and no expression. An error of it says what a key lacks,
// and holds nothing of it.
package keys

// Error is an error of this package; its text holds no value.
type Error string

func (e Error) Error() string { return string(e) }
