// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package states makes states for tests, and an API server that keeps them.
package states

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Noon is when all of it happens.
var Noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Key of the marks of all stores of the tests.
var Key = digest.Random()

// Shop is a credential.
var Shop = CredentialOf("team", "shop")

// CredentialOf that name.
func CredentialOf(namespace, name string) *v1alpha1.TokenCredential {
	return &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// Text is a secret.
func Text(value string) secret.Text { return secret.New(value) }

// Holding is a state whose seed was adopted and never refreshed.
func Holding(token string) rotation.State { return rotation.State{}.Adopt(Text(token)) }

// Sending is a state whose live token is claimed.
func Sending(s rotation.State) rotation.State { return s.Claim(rotation.Attempt{ID: "sending"}) }

// Rotated is the state after a refresh of its live token brought another one.
func Rotated(s rotation.State, fresh string) rotation.State {
	s = s.Claim(rotation.Attempt{ID: "rotated"})
	return s.Commit(token.Grant{RefreshToken: Text(fresh)}, rotation.Exchange{Attempt: "rotated", Sent: s.RefreshToken})
}

// Adopting is a state after seeds were given one after another.
func Adopting(s rotation.State, seeds ...string) rotation.State {
	for _, seed := range seeds {
		s = s.Adopt(Text(seed))
	}
	return s
}

// PlainMark is what earlier versions wrote: keyed with what everybody may know.
func PlainMark(name string) string {
	mac := hmac.New(sha256.New, []byte("cluster"))
	mac.Write([]byte(Text(name).Digest()))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
