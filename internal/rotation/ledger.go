// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import "slices"

// Ledger is a list of digests of spent tokens, oldest first. It is bounded: a
// token that left it long ago is refused by its provider anyway, and a seed that
// a GitOps tool puts back is the same one each time.
type Ledger []string

// ledgerSize keeps the state Secret under 20 KiB: 512 digests of 32 characters.
const ledgerSize = 512

// Contains reports whether a digest is in the ledger.
func (l Ledger) Contains(digest string) bool { return slices.Contains(l, digest) }

// Remove returns a ledger without the digest.
func (l Ledger) Remove(digest string) Ledger {
	if !l.Contains(digest) {
		return l
	}
	return slices.DeleteFunc(slices.Clone(l), func(spent string) bool { return spent == digest })
}

// Add returns a ledger with the digest as its newest entry.
func (l Ledger) Add(digest string) Ledger {
	if digest == "" || l.Contains(digest) {
		return l
	}
	kept := l[max(0, len(l)+1-ledgerSize):]
	return append(slices.Clone(kept), digest)
}
