// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pause reads how long a provider asks to wait, wherever and however its reply
// says so. It has no clock, and decides nothing: what is too long is cut to a bound.
package pause
