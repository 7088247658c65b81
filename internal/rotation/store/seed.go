// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import "github.com/tokenkeeper/tokenkeeper/api/v1alpha1"

// SeedDigest keys the plain digest of a seed for a credential's status. The scope is of
// the name, so that it holds for a credential that is deleted and comes back.
func (s *Store) SeedDigest(credential *v1alpha1.TokenCredential, plain string) string {
	return s.Key.Keyed(seedScope(credential), plain)
}

// IsSeed reports whether a digest in a credential's status is that of a seed, of which the
// plain one is given.
func (s *Store) IsSeed(credential *v1alpha1.TokenCredential, known, plain string) bool {
	return s.Key.Is(known, seedScope(credential), plain)
}

func seedScope(credential *v1alpha1.TokenCredential) string {
	return "seed of " + credential.Namespace + "/" + credential.Name
}
