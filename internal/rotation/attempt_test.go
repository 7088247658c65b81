// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func TestRecover(t *testing.T) {
	t.Parallel()
	claimed := holding("token").Claim(Attempt{ID: "1", Holder: "other", Started: noon})
	resent := holding("token").Claim(Attempt{ID: "2", Holder: "other", Started: noon, Resend: true})
	spent := claimed
	spent.Spent = Ledger{text("token").Digest()}
	gone := Observer{Now: noon.Add(time.Minute), SeenSince: noon, HolderGone: true, Policy: v1alpha1.Hold}
	with := func(change func(*Observer)) Observer { o := gone; change(&o); return o }
	cases := map[string]struct {
		reason   string
		state    State
		observer Observer
		want     Recovery
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
			"what became of it does not matter to the live one", holding("old").Claim(Attempt{ID: "1", Started: noon}).Commit(token.Grant{RefreshToken: text("new")}, Exchange{}),
			gone, Nothing,
		},
		"an attempt on a replaced token whose holder may be at it": {
			"its reply may still bring a token worth keeping", holding("old").Claim(Attempt{ID: "1", Started: noon}).Commit(token.Grant{RefreshToken: text("new")}, Exchange{}),
			with(func(o *Observer) { o.HolderGone, o.SeenSince = false, o.Now }), Wait,
		},
		"a token of the ledger": {
			"never a token that is known to be spent", spent,
			with(func(o *Observer) { o.Policy, o.ReuseWindow = v1alpha1.RetryOnce, time.Hour }), Unknown,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.state.Recover(c.observer); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}

func TestAnOpenAttemptShowsInTheMetadata(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	record := saved(t, api.store(), shop, holding("G"))
	if _, open := OpenAttempt(api.secret(t, shop)); open {
		t.Error("nothing is claimed")
	}
	api.must(t, api.store().Save(t.Context(), record, record.State.Claim(Attempt{ID: "1", Started: noon.Add(time.Millisecond)})))
	if started, open := OpenAttempt(api.secret(t, shop)); !open || !started.Equal(noon) {
		t.Errorf("open %t, started %s, want %s", open, started, noon)
	}
	api.must(t, api.store().Save(t.Context(), record, record.State.Withdraw("1", nil)))
	if _, open := OpenAttempt(api.secret(t, shop)); open {
		t.Error("the claim was withdrawn")
	}
}

func TestOpenAttempt(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason  string
		change  func(*corev1.Secret)
		open    bool
		started time.Time
	}{
		"an attempt":         {"it is open", func(*corev1.Secret) {}, true, noon},
		"no attempt":         {"nothing is claimed", func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AttemptAnnotation) }, false, time.Time{}},
		"a damaged one":      {"it is open all the same", func(s *corev1.Secret) { s.Annotations[v1alpha1.AttemptAnnotation] = "x" }, true, time.Time{}},
		"on a user's Secret": {"anyone may write an annotation", func(s *corev1.Secret) { s.Name = "shop" }, false, time.Time{}},
		"of no credential":   {"anyone may write an annotation", func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.CredentialAnnotation) }, false, time.Time{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			metadata := newSecret(shop)
			metadata.Annotations[v1alpha1.AttemptAnnotation] = noon.Format(time.RFC3339)
			c.change(metadata)
			if started, open := OpenAttempt(metadata); open != c.open || !started.Equal(c.started) {
				t.Errorf("%s: open %t, started %s", c.reason, open, started)
			}
		})
	}
}
