// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fresh are the facts of a credential that nothing is wrong with.
func fresh() Facts {
	return Facts{
		Now:      noon,
		Live:     true,
		Token:    token.Validity{IssuedAt: noon.Add(-time.Minute), ExpiresAt: noon.Add(time.Hour)},
		Due:      noon.Add(time.Minute),
		Recovery: recovery.Nothing,
	}
}

// when changes the facts of a fresh credential.
func when(changes ...func(*Facts)) Facts {
	f := fresh()
	for _, change := range changes {
		change(&f)
	}
	return f
}

func cached(f *Facts)        { f.Live = false }
func changed(f *Facts)       { f.Changed = true }
func due(f *Facts)           { f.Due = f.Now }
func first(f *Facts)         { f.Token, f.Due = token.Validity{}, time.Time{} }
func seedIsNew(f *Facts)     { f.SeedIsNew = true }
func sourceChanged(f *Facts) { f.SourceChanged = true }
func requested(f *Facts)     { f.Requested = true }
func targetNeeds(f *Facts)   { f.TargetNeeds = true }
func unfinished(f *Facts)    { f.Unfinished = true }
func suspended(f *Facts)     { f.Suspended = true }
func restored(f *Facts)      { f.Restored = true }
func held(f *Facts)          { f.Recovery = recovery.Wait }
func resendable(f *Facts)    { f.Recovery = recovery.Resend }
func unknown(f *Facts)       { f.Recovery = recovery.Unknown }
func lost(f *Facts)          { f.Lost = true }
func moved(f *Facts)         { f.Moved = true }
func canLogin(f *Facts)      { f.CanLogin = true }
func stalled(f *Facts)       { f.Last.Failed, f.Last.Stalled = false, true }
func failed(f *Facts)        { f.Last.Failed = true }
func backingOff(f *Facts)    { f.Last.Failed, f.Last.RetryAt = true, noon.Add(time.Second) }
func backedOff(f *Facts)     { f.Last.Failed, f.Last.RetryAt = true, noon }
func mended(f *Facts)        { f.Last.Mended = true }

func TestDecide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		facts  Facts
		want   Decision
		reason string
	}{
		// What calls for a token.
		{"a fresh token", when(), Rest, "nothing calls for another"},
		{"a fresh token, by the caches", when(cached), Rest, "a restart or a resync calls no provider"},
		{"one nanosecond before it is due", when(func(f *Facts) { f.Due = noon.Add(1) }), Rest, "it is fresh until then"},
		{"due at this very moment", when(due), Call, "the moment itself counts"},
		{"past due", when(func(f *Facts) { f.Due = noon.Add(-time.Hour) }), Call, "a late renewal is made at once"},
		{"no token yet", when(first), Call, "the first one is asked for at once"},
		{"a refresh that is requested", when(requested), Call, "tokenkeeper.io/refreshAt asks for one call"},
		{"a new seed", when(seedIsNew), Call, "a user has gone through the provider's consent screen again"},
		{"another source", when(sourceChanged), Call, "the token is of another provider, or of other parameters"},
		{"a target without a token that is kept nowhere else", when(targetNeeds), Call, "there is no copy to repair it from"},
		{"a token that calls have yet to finish", when(unfinished), Call, "the refresh is done, and the target waits"},
		{"a token to finish, while its calls back off", when(unfinished, backingOff), WaitForRetry, "they failed a moment ago"},
		{"a token to finish, and its calls are refused", when(unfinished, stalled), StayStalled, "a person must act, and has not"},
		{"an attempt that may be sent again", when(resendable), Call, "its reuse window closes, although the old token is fresh"},
		{"an unknown outcome, with a login", when(unknown, canLogin), Call, "a login sends no doubtful token"},
		{"a failure while the old token is fresh", when(failed), Call, "what the attempt was made for still holds"},
		{"a login that can replace a lost token, while it is fresh", when(lost, canLogin), Rest, "that is early enough when the token is due"},

		// Look before everything else, and only by the caches.
		{"something changed, by the caches", when(cached, changed), Look, "only a live read says what it means"},
		{"something changed, read live", when(changed), Rest, "it has been looked at"},
		{"something changed and it is suspended, by the caches", when(cached, changed, suspended), Look, "recovery goes on while calls are suspended"},
		{"something changed and it is due, by the caches", when(cached, changed, due), Look, "no call rests on outdated facts"},

		// Suspended, before what holds a token back.
		{"suspended", when(suspended, due), Suspended, "spec.suspend forbids calls"},
		{"suspended, with a refresh requested", when(suspended, requested), Suspended, "even one that is asked for"},
		{"suspended, with a new seed", when(suspended, seedIsNew), Suspended, "a seed is adopted once calls may be made"},
		{"suspended, and the state is a copy", when(suspended, restored), Suspended, "nothing is sent anyway, so there is nothing to hold back"},

		// A restored state, before a holder.
		{"a restored state", when(restored, due), HoldRestored, "its token may have been spent since the copy was made"},
		{"a restored state, while the token is fresh", when(restored), HoldRestored, "a person learns of it while there is time"},
		{"a restored state, with a refresh requested", when(restored, requested), HoldRestored, "a request does not make the token good"},
		{"a restored state, with a login", when(restored, due, canLogin), HoldRestored, "the refresh token would be sent first"},
		{"a restored state with an attempt under way", when(restored, held), HoldRestored, "the attempt is a copy, too"},
		{"a restored state with an attempt that may be sent again", when(restored, resendable), HoldRestored, "a copy never sends again"},
		{"a restored state and a new seed", when(restored, seedIsNew), Call, "the copy's token does not matter any more"},

		// A holder, before an unknown outcome, a lost token and a stall.
		{"another process is at it", when(held, due), WaitForHolder, "one call, whoever makes it"},
		{"another process is at it, while the token is fresh", when(held), WaitForHolder, "its end is awaited, so that it is seen"},
		{"another process is at it, with a refresh requested", when(held, requested), WaitForHolder, "its call may answer the request"},
		{"another process is at a token that is lost", when(held, lost), WaitForHolder, "its reply may bring the successor"},
		{"another process is at it, after a stall", when(held, stalled), WaitForHolder, "its outcome is news"},
		{"another process is at it, and a new seed", when(held, seedIsNew), Call, "the token it holds does not matter any more"},

		// An unknown outcome, before a lost token and a stall.
		{"an unknown outcome", when(unknown, due), HoldUnknown, "the token may be spent"},
		{"an unknown outcome, while the token is fresh", when(unknown), HoldUnknown, "a person learns of it at once, not at the expiry"},
		{"an unknown outcome, with a refresh requested", when(unknown, requested), HoldUnknown, "refreshAt never overrides it"},
		{"an unknown outcome, and an input changed", when(unknown, stalled, mended), HoldUnknown, "only a new seed, a login or the policy does"},
		{"an unknown outcome of a token that is lost", when(unknown, lost), HoldUnknown, "what was sent last is reported"},
		{"an unknown outcome, and a new seed", when(unknown, seedIsNew), Call, "the token before it does not matter any more"},
		{"an unknown outcome that stalled, and a login was added", when(unknown, stalled, canLogin, mended), Call, "the person has acted"},

		// A token of another origin, before an unknown outcome, a lost token and a stall.
		{"a token of another origin", when(moved, sourceChanged), HoldMoved, "it is not for the host that would be asked"},
		{"a token of another origin, while it is fresh", when(moved), HoldMoved, "a person learns of it at once, not at the expiry"},
		{"a token of another origin, with a refresh requested", when(moved, requested), HoldMoved, "whoever may ask need not be who may send it there"},
		{"a token of another origin, and an attempt that may be sent again", when(moved, resendable), HoldMoved, "no policy sends it there"},
		{"a token of another origin, of unknown outcome", when(moved, unknown), HoldMoved, "the way out that it names helps with both"},
		{"a token of another origin that stalled, and an input changed", when(moved, stalled, mended), HoldMoved, "only the old origin, a new seed or a login helps"},
		{"a token of another origin, and a new seed", when(moved, seedIsNew), Call, "the new one belongs to nobody yet"},
		{"a token of another origin, with a login", when(moved, sourceChanged, canLogin), Call, "a login sends nothing of it"},
		{"another process is at a token of another origin", when(moved, held), WaitForHolder, "its reply may bring the successor"},
		{"a token of another origin, suspended", when(moved, suspended), Suspended, "nothing is sent anyway"},

		// A lost token, before a stall.
		{"a lost token", when(lost, due), HoldLost, "a spent token is never sent"},
		{"a lost token, with a refresh requested", when(lost, requested), HoldLost, "a request does not bring it back"},
		{"a lost token that stalled, and an input changed", when(lost, stalled, mended), HoldLost, "only a new seed or a login helps"},
		{"a lost token, with a login", when(lost, due, canLogin), Call, "a login needs no refresh token"},
		{"a lost token, and a new seed", when(lost, seedIsNew), Call, "the new one takes its place"},

		// A stall, before rest and before a backoff.
		{"stalled", when(stalled, due), StayStalled, "a person must act, and has not"},
		{"stalled, while the token is fresh", when(stalled), StayStalled, "what needs a person goes on needing one"},
		{"stalled, and the token has expired", when(stalled, func(f *Facts) { f.Now = noon.Add(2 * time.Hour) }), StayStalled, "another try would end the same way"},
		{"stalled, and an input changed", when(stalled, due, mended), Call, "what changed may be the cure"},
		{"stalled, while the token is fresh, and an input changed", when(stalled, mended), Call, "the cure is tried at once, not when the token is due"},
		{"stalled, with a refresh requested", when(stalled, requested), Call, "a person asks for it"},
		{"stalled, and a new seed", when(stalled, seedIsNew, mended), Call, "the person has acted"},
		{"stalled on a seed that was not adopted", when(stalled, seedIsNew), StayStalled, "the attempt was made with this very seed: it is not sent again and again"},
		{"stalled, and another source", when(stalled, sourceChanged, mended), Call, "the person has acted"},
		{"stalled on another source", when(stalled, sourceChanged), StayStalled, "the attempt was made with this very source"},
		{"stalled, and the target lost its token", when(stalled, targetNeeds), StayStalled, "a target that needs a token cures nothing"},
		{"stalled on an attempt that may be sent again", when(stalled, resendable), StayStalled, "the policy that allows it is an input, and makes it mended"},
		{"stalled on an attempt that may be sent again now", when(stalled, resendable, mended), Call, "onUnknownOutcome was set to RetryOnce"},

		// A backoff, before a call.
		{"backing off", when(due, backingOff), WaitForRetry, "a failure is not tried again before its time"},
		{"backing off, while the token is fresh", when(backingOff), WaitForRetry, "the failure is not forgotten"},
		{"backing off, and the target lost its token", when(backingOff, targetNeeds), WaitForRetry, "the provider's pause holds for every call"},
		{"backing off, and an attempt may be sent again", when(backingOff, resendable), WaitForRetry, "the provider's pause holds for every call"},
		{"the backoff has passed", when(backedOff), Call, "then it is tried again"},
		{"backing off, and an input changed", when(backingOff, mended), Call, "what changed may be the cure"},
		{"backing off, with a refresh requested", when(backingOff, requested), Call, "a person wants it now"},
		{"backing off, and a new seed", when(backingOff, seedIsNew, mended), Call, "the failure was of another token"},
		{"backing off from a seed that was not adopted", when(backingOff, seedIsNew), WaitForRetry, "the failure was of this very token"},
		{"backing off, and another source", when(backingOff, sourceChanged, mended), Call, "the failure was of another provider"},
		{"backing off from another source", when(backingOff, sourceChanged), WaitForRetry, "the failure was of this very provider"},
		{"an input that changed after a success", when(mended), Rest, "an input that changed is no reason while the token is fresh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Decide(c.facts); got != c.want {
				t.Errorf("got %s, want %s: %s", got, c.want, c.reason)
			}
		})
	}
}

// TestDecideAgrees holds what the caches show against what a live read shows of the
// same credential. The caches do not show the state: what it holds back is known from
// the last attempt, by the status.
func TestDecideAgrees(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		live := drawFacts(t)
		live.SeedIsNew, live.SourceChanged, live.TargetNeeds = false, false, false // else something has changed
		decided := Decide(live)
		switch decided {
		case HoldRestored, HoldUnknown, HoldLost, HoldMoved:
			live.Last = Attempt{Stalled: true, Mended: live.Last.Mended} // reported before
		case WaitForHolder:
			return // an open attempt is a change until it is known how it ended
		default:
		}
		if live.Recovery == recovery.Resend || live.Recovery == recovery.Unknown && decided == Call {
			return // the same
		}

		byCache := live
		byCache.Live = false
		byCache.Restored, byCache.Recovery, byCache.Lost, byCache.CanLogin, byCache.Moved = false, "", false, false, false
		switch got := Decide(byCache); {
		case got == decided, got == Call: // before a call everything is read, and decided once more
		case got == StayStalled && (decided == HoldRestored || decided == HoldUnknown || decided == HoldLost || decided == HoldMoved):
		default:
			t.Errorf("by the caches: %s, read live: %s, of %+v", got, decided, live)
		}

		byCache.Changed = true
		if got := Decide(byCache); got != Look {
			t.Errorf("by the caches, with a change: %s, want %s", got, Look)
		}
	})
}

func TestIsFirst(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		facts        Facts
		want         bool
	}{
		{"a new credential", "nothing is known of it", when(first), true},
		{"one with a token", "an attempt was made", when(due), false},
		{"one that has failed", "its backoff holds it", when(first, backedOff), false},
		{"one that has stalled", "an edit ends that", when(first, stalled), false},
	} {
		if each.facts.IsFirst() != each.want {
			t.Errorf("%s is the first: %t, want %t: %s", each.name, each.facts.IsFirst(), each.want, each.reason)
		}
	}
}

// TestDecideNeverCalls holds the promises that no combination of facts may break.
func TestDecideNeverCalls(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		got := Decide(f)
		forbidden := map[string]bool{
			"while it is suspended":                          f.Suspended,
			"with the token of a restored state":             f.Restored && !f.SeedIsNew,
			"beside another process":                         f.Recovery == recovery.Wait && !f.SeedIsNew,
			"with a token that may be spent":                 f.Recovery == recovery.Unknown && !f.SeedIsNew && !f.CanLogin,
			"with a token that is spent":                     f.Lost && !f.SeedIsNew && !f.CanLogin,
			"with a token of another origin":                 f.Moved && !f.SeedIsNew && !f.CanLogin,
			"before the pause that the provider asked for":   f.Now.Before(f.Last.RetryAt) && !f.mayBeCured(),
			"while a person must act and has not":            f.Last.Stalled && !f.mayBeCured(),
			"for a fresh token that nothing asks to replace": !f.wanted(),
		}
		for what, holds := range forbidden {
			if holds && got == Call {
				t.Errorf("the provider is called %s: %+v", what, f)
			}
		}
		f.Now = f.Now.Add(24 * time.Hour)
		if got == Call && Decide(f) != Call {
			t.Errorf("what calls for a token goes away with time: %+v", f)
		}
	})
}

// TestWhatIsDecidedHoldsForAWhile asks of any facts, decided by the caches: what a status names
// may have passed, and a decision that ends at once would be made again and again.
func TestWhatIsDecidedHoldsForAWhile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		f.Live = false
		decided := Decide(f)
		until := decided.Until(f)
		if !until.IsZero() && !until.After(f.Now) {
			t.Errorf("%s until %s, at %s already, of %+v", decided, until, f.Now, f)
		}
		if waits := decided == Rest || decided == WaitForRetry; waits == until.IsZero() {
			t.Errorf("%s until %s: time alone ends a rest and a backoff, and nothing else, of %+v", decided, until, f)
		}
		if f.Now = until; !until.IsZero() && Decide(f) == decided {
			t.Errorf("%s at its end still, of %+v", decided, f)
		}
	})
}

func drawFacts(t *rapid.T) Facts {
	is := func(name string) bool { return rapid.Bool().Draw(t, name) }
	f := Facts{
		Now:           noon,
		Live:          true,
		Due:           noon.Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "due")) * time.Second),
		SeedIsNew:     is("seedIsNew"),
		SourceChanged: is("sourceChanged"),
		Requested:     is("requested"),
		TargetNeeds:   is("targetNeeds"),
		Suspended:     is("suspended"),
		Restored:      is("restored"),
		Recovery:      rapid.SampledFrom([]recovery.Verdict{recovery.Nothing, recovery.Wait, recovery.Resend, recovery.Unknown}).Draw(t, "recovery"),
		Lost:          is("lost"),
		Moved:         is("moved"),
		CanLogin:      is("canLogin"),
	}
	if is("hasToken") {
		f.Token = fresh().Token
	}
	switch rapid.SampledFrom([]string{"well", "failed", "stalled"}).Draw(t, "last") {
	case "failed":
		f.Last = Attempt{Failed: true, RetryAt: noon.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "retryAt")) * time.Second), Mended: is("mended")}
	case "stalled":
		f.Last = Attempt{Stalled: true, Mended: is("mended")}
	}
	return f
}

func TestIsAhead(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		facts        Facts
		want         bool
	}{
		{"due", "nothing holds it back", when(due), false},
		{"mended within the backoff", "the backoff would hold it", when(backingOff, mended), true},
		{"mended after the backoff", "it would be called without the edit", when(backedOff, mended), false},
		{"mended while stalled", "nothing but an edit ends that", when(stalled, mended), true},
		{"asked for while the token is fresh", "nothing else calls for a token", when(requested), true},
		{"asked for within the backoff", "the backoff would hold it", when(backingOff, requested), true},
		{"asked for while stalled", "nothing but a person ends that", when(stalled, requested), true},
		{"asked for when it is due", "it would be called without that", when(due, requested), false},
		{"asked for with the first token", "it would be called without that", when(first, requested), false},
		{"a new seed of a credential that is well", "each would be a call ahead of its time", when(seedIsNew), true},
		{"other parameters of a credential that is well", "each edit would be a call ahead of its time", when(sourceChanged), true},
		{"a new seed of a credential without a token", "it would be called without the edit", when(first, seedIsNew), false},
		{"a target that lacks the token", "repairs have a pace of their own", when(targetNeeds), false},
	} {
		if Decide(each.facts) != Call || each.facts.IsAhead() != each.want {
			t.Errorf("%s: %s ahead of its time: %t, want %t: %s", each.name, Decide(each.facts), each.facts.IsAhead(), each.want, each.reason)
		}
	}
}
