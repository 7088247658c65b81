// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// TestOnlyAClaimThatFailedIsUnsent says what this process takes for a token that was not
// sent: else an attempt that comes back with an older state would be sent again.
func TestOnlyAClaimThatFailedIsUnsent(t *testing.T) {
	t.Parallel()
	known, shop := &Attempts{}, types.NamespacedName{Namespace: "team", Name: "shop"}
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: shop.Namespace, Name: shop.Name}}
	states := &store.Store{}
	ended, claimed := states.None(credential), states.None(credential)
	ended.State = rotation.State{}.Adopt(secret.New("seed"))
	claimed.State = ended.State.Claim(rotation.Attempt{ID: "1"})
	if known.Observe(shop, claimed); known.IsUnsent(shop, "1") {
		t.Error("an attempt of which nothing is known counts as unsent")
	}
	known.Miss(shop, "2")
	if !known.IsUnsent(shop, "2") || known.IsUnsent(shop, "1") {
		t.Error("the claim that failed was not acted on, and of the other nothing is known")
	}
	known.Observe(shop, ended)
	if known.Observe(shop, claimed); known.IsUnsent(shop, "1") {
		t.Error("an attempt that ended, and comes back with an older state, counts as unsent")
	}
}
