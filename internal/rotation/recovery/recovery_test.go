// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func TestRecover(t *testing.T) {
	t.Parallel()
	claimed := holding("token").Claim(rotation.Attempt{ID: "1", Holder: "other", Started: noon})
	resent := holding("token").Claim(rotation.Attempt{ID: "2", Holder: "other", Started: noon, Resend: true})
	spent := claimed
	spent.Spent = rotation.Ledger{text("token").Digest()}
	overtaken := claimed.Claim(rotation.Attempt{ID: "2", Started: noon, Resend: true}).
		Commit(token.Grant{RefreshToken: text("first")}, rotation.Exchange{Attempt: "1", Sent: text("token")})
	gone := Observer{Now: noon.Add(time.Minute), SeenSince: noon, HolderGone: true, Policy: v1alpha1.Hold}
	with := func(change func(*Observer)) Observer { o := gone; change(&o); return o }
	cases := map[string]struct {
		reason   string
		state    rotation.State
		observer Observer
		want     Verdict
	}{
		"no attempt": {"there is nothing to recover", holding("token"), gone, Nothing},
		"our own claim that was never acted on": {
			"its update seemed to fail and stands all the same; nothing was sent", claimed,
			with(func(o *Observer) { o.NeverSent = true }), Nothing,
		},
		"our own retry that was never acted on": {
			"the first time the token was sent is as unresolved as before", resent,
			with(func(o *Observer) { o.NeverSent = true }), Unknown,
		},
		"our own retry that was never acted on, with RetryOnce": {
			"the one retry is still to come", resent,
			with(func(o *Observer) { o.NeverSent, o.Policy = true, v1alpha1.RetryOnce }), Resend,
		},
		"an attempt from the future": {
			"clocks that differ do not put it inside a window, least of all one of nothing", claimed,
			with(func(o *Observer) { o.Now = noon.Add(-time.Hour) }), Unknown,
		},
		"the holder may be at it": {
			"an exchange takes up to 30 s, and the clock that counts is the observer's", claimed,
			with(func(o *Observer) { o.HolderGone, o.SeenSince = false, o.Now.Add(-44*time.Second) }), Wait,
		},
		"the holder made no progress for 45 s": {
			"it counts as gone", claimed,
			with(func(o *Observer) { o.HolderGone, o.SeenSince = false, o.Now.Add(-45*time.Second) }), Unknown,
		},
		"the holder's clock is an hour ahead": {
			"only the observer's clock counts", claimed,
			with(func(o *Observer) {
				o.HolderGone, o.Now, o.SeenSince = false, noon.Add(-time.Hour), noon.Add(-time.Hour)
			}), Wait,
		},
		"Hold":      {"a person must say how to go on", claimed, gone, Unknown},
		"RetryOnce": {"the token is sent once more", claimed, with(func(o *Observer) { o.Policy = v1alpha1.RetryOnce }), Resend},
		"RetryOnce after the retry": {
			"never more than one resend", resent, with(func(o *Observer) { o.Policy = v1alpha1.RetryOnce }), Unknown,
		},
		"inside the reuse window": {
			"the provider states that a second time does no harm", claimed,
			with(func(o *Observer) { o.ReuseWindow = 2 * time.Minute }), Resend,
		},
		"inside the reuse window after a resend": {
			"never more than one resend", resent,
			with(func(o *Observer) { o.ReuseWindow = 2 * time.Minute }), Unknown,
		},
		"after the reuse window": {
			"the provider would take it for theft", claimed,
			with(func(o *Observer) { o.ReuseWindow = 30 * time.Second }), Unknown,
		},
		"an attempt on a token that a login has replaced": {
			"what became of it does not matter to the live one", holding("old").Claim(rotation.Attempt{ID: "1", Started: noon}).Commit(token.Grant{RefreshToken: text("new")}, rotation.Exchange{}),
			gone, Nothing,
		},
		"an attempt on a replaced token whose holder may be at it": {
			"its reply may still bring a token worth keeping", holding("old").Claim(rotation.Attempt{ID: "1", Started: noon}).Commit(token.Grant{RefreshToken: text("new")}, rotation.Exchange{}),
			with(func(o *Observer) { o.HolderGone, o.SeenSince = false, o.Now }), Wait,
		},
		"a retry that the first reply overtook, with a reuse window": {
			"the provider may have given it another successor, in the place of the one that is here", overtaken,
			with(func(o *Observer) { o.ReuseWindow, o.Policy = 10*time.Minute, v1alpha1.RetryOnce }), Unknown,
		},
		"a retry that the first reply overtook, without a window": {
			"such a provider gives no second successor", overtaken, with(func(o *Observer) { o.Policy = v1alpha1.RetryOnce }), Nothing,
		},
		"a retry that the first reply overtook, and that never left": {
			"nothing has replaced the successor that is here", overtaken,
			with(func(o *Observer) { o.ReuseWindow, o.NeverSent = 10*time.Minute, true }), Nothing,
		},
		"a retry that the first reply overtook, whose holder may be at it": {
			"it may yet bring what it was given", overtaken,
			with(func(o *Observer) { o.ReuseWindow, o.HolderGone, o.SeenSince = 10*time.Minute, false, o.Now }), Wait,
		},
		"a retry that the first reply overtook, and a login since": {
			"what became of it does not matter to the live one", overtaken.Commit(token.Grant{RefreshToken: text("login")}, rotation.Exchange{}),
			with(func(o *Observer) { o.ReuseWindow = 10 * time.Minute }), Nothing,
		},
		"a token of the ledger": {
			"never a token that is known to be spent", spent,
			with(func(o *Observer) { o.Policy, o.ReuseWindow = v1alpha1.RetryOnce, time.Hour }), Unknown,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.observer.Decide(c.state); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}
