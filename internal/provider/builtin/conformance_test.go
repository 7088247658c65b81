// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package builtin_test

import (
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator/described"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// TestEveryBuiltInLivesOneLife takes each built-in through what a credential meets, over
// TLS, against a server that plays its provider. What the provider answers follows from the
// description alone (package described says how); what a user would put in, parameters and
// keys, is that of the first conversation of the built-in.
func TestEveryBuiltInLivesOneLife(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an error that is null")
	specs, err := builtin.Specs()
	if err != nil {
		t.Fatal(err)
	}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live(t, name, spec)
		})
	}
}

func live(t *testing.T, name string, spec v1alpha1.ClusterTokenProviderSpec) {
	t.Helper()
	compiled, err := compile.Provider(name, spec)
	if err != nil {
		t.Fatal(err)
	}
	conversations := load(t, filepath.Join("testdata", name+".yaml")).Conversations
	for _, chapter := range []struct {
		name string
		tell func(*testing.T, *life)
	}{
		{"the first token", firstToken},
		{"rotation, as the mode says", rotation},
		{"a spent token is refused", spentToken},
		{"a revoked grant is refused", revokedGrant},
		{"each reason that the description knows can come about", everyReason},
		{"throttled", throttled},
		{"down", down},
		{"a reply that is cut short", cutShort},
		{"a careless frame", carelessFrame},
		{"an error that is null is none", nulls},
		{"no message quotes a secret", secrecy},
	} {
		t.Run(chapter.name, func(t *testing.T) {
			t.Parallel()
			l := begin(t, compiled, spec, conversations)
			chapter.tell(t, l)
			if err := l.server.Err(); err != nil {
				t.Errorf("the description gives no such reply: %v", err)
			}
		})
	}
}

func (l *life) wants(t *testing.T, outcome provider.Outcome, reason, because string) {
	t.Helper()
	if outcome.Reason != reason {
		t.Errorf("got %s (%s), want %s: %s", outcome.Reason, outcome.Message, reason, because)
	}
}

func firstToken(t *testing.T, l *life) {
	outcome := l.must(t)
	if left := outcome.Grant.ExpiresAt.Sub(now); left <= 0 {
		t.Errorf("the first token lives %s", left)
	}
	if outcome.LifetimeIgnored {
		t.Error("a lifetime as the description states it counts as unreadable")
	}
	for _, name := range l.provider.Outputs {
		if _, ok := outcome.Grant.Outputs[name]; !ok && l.refreshes() && !l.inputs.RefreshToken.IsZero() {
			t.Errorf("no reply that follows from the description brings the output %s", name)
		}
	}
}

func rotation(t *testing.T, l *life) {
	l.must(t)
	for range 3 {
		before := l.inputs.RefreshToken
		l.must(t)
		if got, want := l.inputs.RefreshToken.Reveal(), l.server.Current(); got != want {
			t.Fatalf("the credential holds %q, and the provider goes by %q", got, want)
		}
		if l.provider.Rotation.Mode != v1alpha1.Reusable && l.refreshes() && before.Equal(l.inputs.RefreshToken) {
			t.Fatal("the refresh token works once, and its successor was not read")
		}
	}
}

func spentToken(t *testing.T, l *life) {
	if !l.refreshes() {
		return
	}
	l.must(t)
	spent := l.inputs.RefreshToken
	l.must(t)
	if l.provider.Rotation.Mode == v1alpha1.Reusable {
		l.inputs.RefreshToken = spent
		l.must(t) // nothing is spent: it may be sent again
		return
	}
	if l.provider.Rotation.ReuseWindow > 0 {
		l.inputs.RefreshToken = spent
		l.must(t) // as after a lost reply: within the window it is sent again
	}
	l.must(t)
	l.must(t)
	l.inputs.RefreshToken = spent
	l.wants(t, l.visit(t), v1alpha1.ReauthorizationRequiredReason, "a spent refresh token never works again")
}

func revokedGrant(t *testing.T, l *life) {
	if !l.refreshes() {
		return
	}
	l.must(t)
	l.must(t)
	l.server.Revoke()
	l.wants(t, l.visit(t), v1alpha1.ReauthorizationRequiredReason, "a person must authorize again, or the credential logs in")
	if l.provider.Login != nil {
		l.inputs.RefreshToken = secret.Text{}
		l.must(t)
	}
}

func everyReason(t *testing.T, l *life) {
	l.must(t)
	for _, reason := range l.server.Reasons() {
		l.server.Next(described.Fault{Refuse: reason})
		l.wants(t, l.visit(t), reason, "the description has a rule for it")
	}
	expected := []string{v1alpha1.RateLimitedReason}
	if l.provider.App != v1alpha1.None {
		expected = append(expected, v1alpha1.AppRejectedReason)
	}
	if l.refreshes() {
		expected = append(expected, v1alpha1.ReauthorizationRequiredReason)
	}
	for _, reason := range expected {
		if !slices.Contains(l.server.Reasons(), reason) {
			t.Errorf("no failure rule gives %s: such a reply would wait for a person, or be tried again without end", reason)
		}
	}
	l.must(t)
}

func throttled(t *testing.T, l *life) {
	l.must(t)
	l.server.Next(described.Fault{Refuse: v1alpha1.RateLimitedReason}, described.Fault{Status: http.StatusTooManyRequests})
	outcome := l.visit(t)
	l.wants(t, outcome, v1alpha1.RateLimitedReason, "the provider has said so")
	if outcome.RetryAfter != 7*time.Second {
		t.Errorf("the call is made again after %s, and the provider asked for 7s", outcome.RetryAfter)
	}
	l.wants(t, l.visit(t), v1alpha1.RateLimitedReason, "a gateway's 429 says so too, whatever its body")
	l.must(t)
}

func down(t *testing.T, l *life) {
	l.must(t)
	for _, status := range []int{500, 502, 503, 504} {
		l.server.Next(described.Fault{Status: status})
		outcome := l.visit(t)
		switch {
		case l.singleUse():
			l.wants(t, outcome, v1alpha1.OutcomeUnknownReason, "a gateway's page does not say that the single-use token was not spent")
		case outcome.Reason != v1alpha1.ProviderUnavailableReason && outcome.Reason != v1alpha1.OutcomeUnknownReason:
			t.Errorf("%d is read as %s (%s), and is worth another try", status, outcome.Reason, outcome.Message)
		}
	}
	l.must(t)
}

func cutShort(t *testing.T, l *life) {
	l.must(t)
	l.server.Next(described.Fault{CutShort: true})
	outcome := l.visit(t)
	l.wants(t, outcome, v1alpha1.OutcomeUnknownReason, "half a reply proves nothing")
	if l.singleUse() && outcome.Grant.RefreshToken.IsZero() {
		return // the rotated token was in the half that is lost: a person is asked
	}
	l.must(t)
}

func carelessFrame(t *testing.T, l *life) {
	l.server.Next(described.Fault{Slovenly: true}, described.Fault{Slovenly: true})
	l.must(t)
	l.must(t)
	if got, want := l.inputs.RefreshToken.Reveal(), l.server.Current(); l.refreshes() && got != want {
		t.Errorf("the credential holds %q, and the provider goes by %q", got, want)
	}
}

func nulls(t *testing.T, l *life) {
	l.server.Next(described.Fault{Nulls: true}, described.Fault{Nulls: true})
	l.must(t)
	l.must(t)
}

func secrecy(t *testing.T, l *life) {
	l.must(t)
	secrets := map[string]string{
		"the app's key": l.inputs.AppKey.Reveal(), "the app's secret": l.inputs.AppSecret.Reveal(),
		"the refresh token": l.inputs.RefreshToken.Reveal(), "the access token": l.inputs.AccessToken.Reveal(),
	}
	for key, value := range l.inputs.Login {
		secrets[key] = value.Reveal()
	}
	words := "it was sent " + strings.Join(slices.Sorted(maps.Values(secrets)), ", and ")
	for _, reason := range l.server.Reasons() {
		l.server.Next(described.Fault{Refuse: reason, Words: words})
		outcome := l.visit(t)
		for what, value := range secrets {
			if value != "" && strings.Contains(outcome.Message, value) {
				t.Errorf("%s: the message holds %s", reason, what)
			}
		}
	}
}
