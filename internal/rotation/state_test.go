// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func text(value string) secret.Text { return secret.New(value) }

// holding is a state whose seed was adopted and never refreshed.
func holding(token string) State { return State{}.Adopt(text(token)) }

func TestJudge(t *testing.T) {
	t.Parallel()
	rotated := holding("first").Commit(token.Grant{RefreshToken: text("second")})
	cases := map[string]struct {
		reason string
		state  State
		seed   string
		want   SeedVerdict
	}{
		"the first seed":                    {"an empty state adopts whatever there is", State{}, "first", SeedNew},
		"no seed":                           {"a seed that was deleted after its adoption stops nothing", rotated, "", SeedUnchanged},
		"the seed that was adopted":         {"it was spent, and the state has its successor", rotated, "first", SeedUnchanged},
		"a new seed":                        {"a person has authorized again", rotated, "third", SeedNew},
		"the live token":                    {"somebody wrote the live token back", rotated, "second", SeedUnchanged},
		"a token that was spent":            {"a GitOps tool puts an old seed back", rotated.Adopt(text("third")), "first", SeedSpent},
		"a token that another seed retired": {"the user has given it up", rotated.Adopt(text("third")), "second", SeedSpent},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.state.Judge(text(c.seed)); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}

func TestJudgeOfACopy(t *testing.T) {
	t.Parallel()
	copied := &Record{State: holding("first").Commit(token.Grant{RefreshToken: text("second")}), Copied: true}
	cases := map[string]struct {
		reason string
		seed   string
		want   SeedVerdict
	}{
		"the copy's own live token": {"it is its user's word that it was not spent since", "second", SeedNew},
		"the seed that was adopted": {"it was spent before the copy was made", "first", SeedUnchanged},
		"a new seed":                {"a person has authorized again", "third", SeedNew},
		"no seed":                   {"nothing is given", "", SeedUnchanged},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := copied.Judge(text(c.seed)); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}

func TestTheSeedOfACopyIsNobodysWord(t *testing.T) {
	t.Parallel()
	copied := &Record{State: State{}.Adopt(text("first")), Copied: true}
	if got := copied.Judge(text("first")); got != SeedUnchanged {
		t.Errorf("a seed that was there before the copy was made says nothing new: got %s", got)
	}
}

func TestACopyDiffersFromItsOriginal(t *testing.T) {
	t.Parallel()
	own := Identity{Secret: "secret", Cluster: "cluster"}
	cases := map[string]struct {
		reason string
		stored Identity
		want   bool
	}{
		"the same":              {"it is the original", own, false},
		"another Secret's":      {"it was restored from a backup", Identity{Secret: "other", Cluster: "cluster"}, true},
		"another cluster's":     {"it was carried over", Identity{Secret: "secret", Cluster: "other"}, true},
		"the UID not known yet": {"a Secret learns its UID when it is made", Identity{Cluster: "cluster"}, false},
		"nothing known":         {"what is not known does not differ", Identity{}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.stored.differsFrom(own); got != c.want {
				t.Errorf("%s: got %t, want %t", c.reason, got, c.want)
			}
		})
	}
}

func TestOfTwoTwinsOneIsOlderForBoth(t *testing.T) {
	t.Parallel()
	secret := func(created time.Time, uid types.UID) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(created), UID: uid}}
	}
	cases := map[string]struct {
		reason   string
		one, two *corev1.Secret
	}{
		"made one after the other":    {"the earlier is older", secret(noon, "b"), secret(noon.Add(time.Second), "a")},
		"made within the same second": {"the UID decides", secret(noon, "a"), secret(noon, "b")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			meta := func(s *corev1.Secret) *metav1.PartialObjectMetadata {
				return &metav1.PartialObjectMetadata{ObjectMeta: s.ObjectMeta}
			}
			if !isOlder(meta(c.one), c.two) || isOlder(meta(c.two), c.one) || isOlder(meta(c.one), c.one) {
				t.Errorf("%s, and not otherwise", c.reason)
			}
		})
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	before := holding("old").Claim(Attempt{ID: "1"})
	grant := token.Grant{
		Token: token.Token{
			AccessToken: text("access"), Type: "mac",
			Validity: token.Validity{IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)},
			Outputs:  map[string]any{"scope": "1 3"},
		},
		RefreshToken: text("new"), RefreshTokenExpiresAt: noon.Add(24 * time.Hour),
	}
	cases := map[string]struct {
		reason string
		change func(*token.Grant)
		check  func(State) bool
	}{
		"the new token is the live one": {
			"it is what the next refresh sends", func(*token.Grant) {},
			func(s State) bool {
				return s.RefreshToken.Equal(text("new")) && s.PreviousRefreshToken.Equal(text("old"))
			},
		},
		"the old token is in the ledger": {
			"it must never be sent again", func(*token.Grant) {},
			func(s State) bool {
				return s.Spent.Contains(text("old").Digest()) && !s.Spent.Contains(text("new").Digest())
			},
		},
		"the claim is gone and the sequence counts": {
			"one exchange, one commit", func(*token.Grant) {},
			func(s State) bool { return s.Attempt == nil && s.Sequence == 1 },
		},
		"a reply without a refresh token keeps the old one": {
			"RFC 6749 section 6 lets a server keep it", func(g *token.Grant) { g.RefreshToken = secret.Text{} },
			func(s State) bool { return s.RefreshToken.Equal(text("old")) && len(s.Spent) == 0 },
		},
		"the same refresh token is not spent": {
			"it is still the live one", func(g *token.Grant) { g.RefreshToken = text("old") },
			func(s State) bool { return s.RefreshToken.Equal(text("old")) && len(s.Spent) == 0 },
		},
		"a reply without an access token keeps the refresh token": {
			"the refresh token is saved, whatever else is wrong", func(g *token.Grant) { g.AccessToken = secret.Text{} },
			func(s State) bool {
				return s.RefreshToken.Equal(text("new")) && s.Token.AccessToken.IsZero() && s.Token.ExpiresAt.IsZero()
			},
		},
		"the outputs are those of the last reply": {
			"a stale output would not fit the new token", func(g *token.Grant) { g.Outputs = nil },
			func(s State) bool { return s.Token.Outputs == nil },
		},
		"the expiry of the old refresh token does not outlive it": {
			"the new one's is not known", func(g *token.Grant) { g.RefreshTokenExpiresAt = time.Time{} },
			func(s State) bool { return s.RefreshTokenExpiresAt.IsZero() },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grant := grant
			c.change(&grant)
			if got := before.Commit(grant); !c.check(got) {
				t.Errorf("%s: sequence %d, spent %v, attempt %v", c.reason, got.Sequence, got.Spent, got.Attempt)
			}
			if before.Attempt == nil || len(before.Spent) != 0 {
				t.Error("a transition must leave the state that it started from alone")
			}
		})
	}
}

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
			"the first time the token was sent is as much in doubt as before", resent,
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
			"the provider's word that a second time does no harm", claimed,
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

func TestLedgerIsBoundedAndKeepsTheNewest(t *testing.T) {
	t.Parallel()
	var ledger Ledger
	for i := range 2 * ledgerSize {
		ledger = ledger.Add(fmt.Sprintf("%032d", i))
	}
	if len(ledger) != ledgerSize {
		t.Fatalf("the ledger holds %d digests, want %d", len(ledger), ledgerSize)
	}
	if !ledger.Contains(fmt.Sprintf("%032d", 2*ledgerSize-1)) || ledger.Contains(fmt.Sprintf("%032d", 0)) {
		t.Error("the oldest goes first")
	}
	if again := ledger.Add(ledger[3]); !cmp.Equal(again, ledger) {
		t.Error("a digest is there once")
	}
}

func TestEncodingKeepsEveryByte(t *testing.T) {
	t.Parallel()
	state := State{
		RefreshToken:          text("line\nfeed\x00nul\xff\xfebytes "),
		PreviousRefreshToken:  text("previous"),
		RefreshTokenExpiresAt: noon.Add(time.Hour),
		Token: token.Token{
			AccessToken: text("access"),
			Type:        "mac",
			Validity:    token.Validity{IssuedAt: noon.Add(123 * time.Nanosecond), ExpiresAt: noon.Add(time.Minute)},
			Outputs:     map[string]any{"whole": int64(9007199254740993), "part": 1.5, "text": "a", "list": []any{int64(1)}, "none": nil},
		},
		Sequence: 7,
		Spent:    Ledger{"aa", "bb"},
		Seed:     "cc",
		Source:   "dd",
		Identity: Identity{Secret: "uid", Cluster: "cluster"},
		Attempt:  &Attempt{ID: "1", Holder: "me", Started: noon, Token: "ee", Resend: true},
	}
	data := map[string][]byte{"foreign": []byte("kept")}
	if err := state.encode(data); err != nil {
		t.Fatal(err)
	}
	if string(data[keyRefreshToken]) != state.RefreshToken.Reveal() {
		t.Error("the refresh token is in the Secret in clear, byte for byte")
	}
	got, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(state, got, cmp.Comparer(secret.Text.Equal)); diff != "" {
		t.Errorf("what is read is what was written (-want +got):\n%s", diff)
	}
	if err := (State{}).encode(data); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]byte{"foreign": []byte("kept"), keySequence: []byte("0")}, data); diff != "" {
		t.Errorf("an empty state leaves foreign keys alone (-want +got):\n%s", diff)
	}
}

func TestDecodeNamesWhatCannotBeReadAndQuotesNothing(t *testing.T) {
	t.Parallel()
	for _, key := range []string{keyIssuedAt, keyExpiresAt, keyRefreshTokenExpiresAt, keySequence, keyOutputs, keyIdentity, keyAttempt} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			_, err := decode(map[string][]byte{key: []byte("canary")})
			if err == nil || !strings.Contains(err.Error(), key) {
				t.Fatalf("the error must name the key %s: %v", key, err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Error("the error quotes what is in the Secret")
			}
		})
	}
}

func TestALostTokenStaysSpentUntilItIsHandedOutAgain(t *testing.T) {
	t.Parallel()
	live, other := secret.New("live"), secret.New("other")
	lost := State{}.Adopt(live).Claim(Attempt{ID: "a"}).Lose()
	if !lost.Lost() || lost.Attempt != nil || lost.Judge(live) != SeedUnchanged {
		t.Error("a token whose successor was lost counts as good, or its claim stands")
	}
	if next := lost.Adopt(other); next.Lost() || next.Judge(live) != SeedSpent {
		t.Error("another seed is lost too, or the lost token would be taken again")
	}
	if next := lost.Commit(token.Grant{RefreshToken: other}); next.Lost() {
		t.Error("what a login brings counts as spent")
	}
	if next := lost.Adopt(live); next.Lost() || !next.PreviousRefreshToken.IsZero() {
		t.Error("a token that its user says is good counts as spent, or as its own predecessor")
	}
}
