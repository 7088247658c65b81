// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// deathsWhileProven kill a process around a token that Auto has found to work more than
// once, in the first refresh; the second has no claim. Where the provider begins to rotate
// then, its reply holds the only copy of the successor.
func deathsWhileProven() []death {
	return []death{
		{
			shows: "killed as a token is proven", how: "before the commit, " + inThePod, promise: "the reply is in the spool; the token is proven by the next refresh",
			at: before(proof), change: neverRotates, want: tally{calls: 2}, unseen: true,
		},
		{
			shows: "killed as a token is proven", how: "before the target, " + elsewhere, promise: "what is proven is asked for again: nothing is spent by that",
			at: after(proof), elsewhere: true, change: neverRotates, want: tally{calls: 2}, unseen: true,
		},
		{
			shows: "killed after sending a proven token", how: inThePod, promise: "it is sent again, and nobody is asked",
			at: sent, change: neverRotates, want: tally{calls: 3},
		},
		{
			shows: "killed after sending a proven token", how: elsewhere, promise: "the same, at once: there is no holder to wait for",
			at: sent, elsewhere: true, change: neverRotates, want: tally{calls: 3},
		},
		{
			shows: "killed as a provider begins to rotate", how: "after sending, " + inThePod, promise: "the token is sent again, and its refusal is told as what it is",
			at: sent, change: beginsToRotate, stalls: v1alpha1.ReauthorizationRequiredReason, want: tally{calls: 3, reuses: 1}, then: (*scene).cure,
		},
		{
			shows: "killed as a provider begins to rotate", how: "after the spool, " + inThePod, promise: "what the spool holds is saved, without a call",
			at: before(commit), change: beginsToRotate, want: tally{calls: 2},
		},
		{
			shows: "killed as a provider begins to rotate", how: "after the spool, " + elsewhere, promise: "the successor died with its pod: the refusal is told",
			at: before(commit), elsewhere: true, change: beginsToRotate, stalls: v1alpha1.ReauthorizationRequiredReason, want: tally{calls: 3, reuses: 1}, then: (*scene).cure,
		},
		{
			shows: "killed as a provider begins to rotate", how: "after the commit, " + elsewhere, promise: "it is published from the state, at once, without a call",
			at: after(commit), elsewhere: true, change: beginsToRotate, want: tally{calls: 2},
		},
	}
}

// proof is the write of the first refresh that ends its claim.
func proof(r request) bool { return r.isState("1") && r.secret.Data["attempt"] == nil }

// neverRotates has the provider leave the refresh token as it is, and the operator find
// that out.
func neverRotates(s *scene, credential *v1alpha1.TokenCredential) {
	s.findsOut(credential, simulator.Rotation{NewRefreshToken: simulator.Never})
}

// beginsToRotate is a provider that leaves the token as it is once, and then gives another.
func beginsToRotate(s *scene, credential *v1alpha1.TokenCredential) {
	s.findsOut(credential, simulator.Rotation{NewRefreshToken: simulator.Sometimes, Every: 2})
}

// findsOut describes Xiaomi with rotation.mode Auto, and gives the simulator a rotation.
func (s *scene) findsOut(credential *v1alpha1.TokenCredential, rotation simulator.Rotation) {
	specs, err := builtin.Specs()
	s.must(err)
	provider := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: "of-" + s.namespace}, Spec: specs["xiaomi"]}
	provider.Spec.Rotation = v1alpha1.Rotation{Mode: v1alpha1.Auto}
	s.must(s.Create(s.t.Context(), provider))
	s.provider.Configure(func(o *simulator.Options) { o.Xiaomi.Rotation = rotation })
	credential.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.ClusterProvider, Name: provider.Name}
}
