// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// TestOnlyAClaimThatFailedIsUnsent says what this process takes for a token that was not
// sent: else an attempt that comes back with an older state would be sent again.
func TestOnlyAClaimThatFailedIsUnsent(t *testing.T) {
	t.Parallel()
	known, shop := &attempts{}, types.NamespacedName{Namespace: "team", Name: "shop"}
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: shop.Namespace, Name: shop.Name}}
	store := &rotation.Store{Key: key}
	ended, claimed := store.None(credential), store.None(credential)
	ended.State = rotation.State{}.Adopt(secret.New(seed))
	claimed.State = ended.State.Claim(rotation.Attempt{ID: "1"})
	if known.observe(shop, claimed); known.isUnsent(shop, "1") {
		t.Error("an attempt of which nothing is known counts as unsent")
	}
	known.miss(shop, "2")
	if !known.isUnsent(shop, "2") || known.isUnsent(shop, "1") {
		t.Error("the claim that failed was not acted on, and of the other nothing is known")
	}
	known.observe(shop, ended)
	if known.observe(shop, claimed); known.isUnsent(shop, "1") {
		t.Error("an attempt that ended, and comes back with an older state, counts as unsent")
	}
}
