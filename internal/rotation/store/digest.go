// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
)

// TokenDigest keys the plain digest of a refresh token, of a seed above all, for a
// credential's status. The scope is of the name, so that it holds for a credential that is
// deleted and comes back.
func (s *Store) TokenDigest(credential *v1alpha1.TokenCredential, plain string) string {
	return s.Key.Keyed(tokenScope(credential), plain)
}

// IsToken reports whether a digest in a credential's status is that of a refresh token, of
// which the plain one is given.
func (s *Store) IsToken(credential *v1alpha1.TokenCredential, known, plain string) bool {
	return s.Key.Is(known, tokenScope(credential), plain)
}

// IsOtherToken reports whether it is known to be that of another one: a digest of a key that
// was lost tells nothing.
func (s *Store) IsOtherToken(credential *v1alpha1.TokenCredential, known, plain string) bool {
	return (digest.IsPlain(known) || s.Key.Made(known)) && plain != "" && !s.IsToken(credential, known, plain)
}

// tokenScope bears the name of what it was first made for: with another one, no digest that
// stands in a status already would be known.
func tokenScope(credential *v1alpha1.TokenCredential) string {
	return "seed of " + credential.Namespace + "/" + credential.Name
}
