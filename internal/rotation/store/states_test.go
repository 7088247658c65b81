// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/states"
)

var (
	noon         = states.Noon
	key          = states.Key
	shop         = states.Shop
	text         = states.Text
	holding      = states.Holding
	sending      = states.Sending
	rotated      = states.Rotated
	newAPIServer = states.NewAPIServer
)

func storeOf(api *states.APIServer) *Store {
	return &Store{Client: api, Cluster: "cluster", Key: key, Backoff: &wait.Backoff{Duration: time.Nanosecond}}
}

// saved returns the record of a credential whose state was saved.
func saved(t *testing.T, store *Store, credential *v1alpha1.TokenCredential, state rotation.State) *Record {
	t.Helper()
	record, err := store.Load(t.Context(), credential)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Save(t.Context(), record, state); err != nil {
		t.Fatal(err)
	}
	return record
}

// provenState is a state whose live token was sent at an origin and left as it was.
func provenState() rotation.State {
	s := holding("live")
	s.Origin = rotation.Origin{Refresh: "https://a.example"}
	s = s.Claim(rotation.Attempt{ID: "1"})
	return s.Commit(token.Grant{Token: token.Token{AccessToken: text("access")}}, rotation.Exchange{Attempt: "1", Sent: text("live"), Proves: true})
}
