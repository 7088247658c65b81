// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package standard says what a refusal means that follows a standard, for descriptions that
// ask for it: the rules are data (oauth2.yaml), over the code and the words of an error,
// wherever in a reply servers put them. It knows no provider, and reads no token.
package standard
