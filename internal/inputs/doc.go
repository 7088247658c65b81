// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inputs reads what a credential is renewed with, its provider and the
// Secrets that it names, into one value that nobody changes. It reads and checks;
// it never writes, and knows nothing of tokens that were obtained.
package inputs
