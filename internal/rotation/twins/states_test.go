// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package twins

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/states"
)

var (
	noon         = states.Noon
	key          = states.Key
	shop         = states.Shop
	credentialOf = states.CredentialOf
	text         = states.Text
	holding      = states.Holding
	sending      = states.Sending
	rotated      = states.Rotated
	plainMark    = states.PlainMark
	newAPIServer = states.NewAPIServer
	secrets      = schema.GroupResource{Resource: "secrets"}
	errCanary    = errors.New("canary")
)

// cluster is where states are kept and found.
type cluster struct {
	*store.Store
	*Finder
}

func storeOf(api *states.APIServer) cluster { return storeUnder(api, key) }

// storeUnder has a key of its own.
func storeUnder(api *states.APIServer, key digest.Key) cluster {
	kept := &store.Store{Client: api, Cluster: "cluster", Key: key, Backoff: &wait.Backoff{Duration: time.Nanosecond}}
	return cluster{kept, &Finder{Client: api, Marks: kept.Marks()}}
}

// saved returns the record of a credential whose state was saved.
func saved(t *testing.T, in cluster, credential *v1alpha1.TokenCredential, state rotation.State) *store.Record {
	t.Helper()
	record, err := in.Load(t.Context(), credential)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Save(t.Context(), record, state); err != nil {
		t.Fatal(err)
	}
	return record
}

func grantOf(refreshToken string) token.Grant { return token.Grant{RefreshToken: text(refreshToken)} }
