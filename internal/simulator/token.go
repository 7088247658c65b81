// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// TokenKind tells a refresh token from an access token.
type TokenKind string

const (
	// RefreshToken is what a refresh is asked with.
	RefreshToken TokenKind = "refresh"
	// AccessToken is what the provider's API is called with.
	AccessToken TokenKind = "access"
)

// TokenRequest says for whom a token is made.
type TokenRequest struct {
	Vendor Vendor
	// Kind of the token. Oracle Commerce's tokens are both; they are asked for
	// as AccessToken.
	Kind TokenKind
	// Grant is the grant's identifier.
	Grant string
	// Number counts the tokens of this kind in the grant, from 1.
	Number   int
	IssuedAt time.Time
	Lifetime time.Duration
}

// defaultToken makes 256 random bits, or for Oracle Commerce a JWT in standard
// base64 with padding, with the claims of the documentation's sample.
func defaultToken(request TokenRequest) string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails, says its documentation
	if request.Vendor != OracleStore && request.Vendor != OracleAdmin {
		return base64.RawURLEncoding.EncodeToString(random)
	}
	issuer := "storefrontUI"
	if request.Vendor == OracleAdmin {
		issuer = "occs-admin"
	}
	issued := request.IssuedAt.Unix()
	claims := fmt.Sprintf(`{"exp":%d,"sub":%q,"iss":%q,"iat":%d}`,
		issued+int64(request.Lifetime/time.Second), request.Grant, issuer, issued)
	// The signature is random: nobody can check it, and it keeps two tokens of
	// one second apart.
	return base64.StdEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.StdEncoding.EncodeToString([]byte(claims)) + "." +
		base64.StdEncoding.EncodeToString(random)
}

// token is one token of a family. Its family's lock guards what changes.
type token struct {
	value   string
	family  *family
	number  int
	refresh bool // may be refreshed with
	access  bool // may call the API
	issued  time.Time
	expires time.Time
	spent   time.Time // zero: not spent
	uses    int
	lists   int // how many of the family's two lists it is on
}

// tokenIndex finds tokens by their text. It is split so that ten thousand
// grants do not wait for one lock.
type tokenIndex struct {
	seed   maphash.Seed
	shards [64]tokenShard
}

type tokenShard struct {
	sync.RWMutex
	tokens map[string]*token
}

func newTokenIndex() *tokenIndex {
	index := &tokenIndex{seed: maphash.MakeSeed()}
	for i := range index.shards {
		index.shards[i].tokens = map[string]*token{}
	}
	return index
}

func (i *tokenIndex) shard(value string) *tokenShard {
	return &i.shards[maphash.String(i.seed, value)%uint64(len(i.shards))]
}

func (i *tokenIndex) find(value string) *token {
	shard := i.shard(value)
	shard.RLock()
	defer shard.RUnlock()
	return shard.tokens[value]
}

func (i *tokenIndex) add(t *token) {
	shard := i.shard(t.value)
	shard.Lock()
	defer shard.Unlock()
	shard.tokens[t.value] = t
}

// remove forgets a token, unless another has taken its text.
func (i *tokenIndex) remove(t *token) {
	shard := i.shard(t.value)
	shard.Lock()
	defer shard.Unlock()
	if shard.tokens[t.value] == t {
		delete(shard.tokens, t.value)
	}
}

// release forgets a token that leaves the last of its family's lists. The caller
// holds the family's lock.
func (i *tokenIndex) release(t *token) {
	if t.lists--; t.lists == 0 {
		i.remove(t)
	}
}
