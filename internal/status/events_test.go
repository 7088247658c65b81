// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// eventsOf are the reasons of the events that a report brings.
func eventsOf(s scene, report Report) []string {
	next := Next(s.TokenCredential, report, s.now)
	var reasons []string
	for _, event := range Events(s.TokenCredential, &next, report) {
		reasons = append(reasons, event.Reason)
	}
	return reasons
}

// ofLifetime is a token that lives for so long, and was issued at a fraction of a
// second, as replies are.
func ofLifetime(report Report, lifetime time.Duration) Report {
	issued := report.Target.Token.IssuedAt.Add(900 * time.Millisecond)
	report.Target.Token = token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(lifetime).Truncate(time.Second)}
	report.Attempt.Token = report.Target.Token
	return report
}

func TestEvents(t *testing.T) {
	t.Parallel()
	later := noon.Add(renewal)
	ignored := func(report Report) Report {
		report.Attempt.LifetimeIgnored, report.Attempt.Remark = true, remark
		return report
	}
	writeBackFails := func(report Report) Report {
		report.WriteBack = blocked
		return report
	}
	notNudged := func(report Report) Report {
		report.Notice = problemOf(v1alpha1.PodsNotNudgedEvent)
		return report
	}
	of := func(report Report, change func(*Report)) Report {
		change(&report)
		return report
	}
	const (
		refreshed  = v1alpha1.RefreshedReason
		failed     = v1alpha1.RefreshFailedEvent
		short      = v1alpha1.ShortLifetimeEvent
		lifetimeNo = v1alpha1.LifetimeIgnoredEvent
		spent      = v1alpha1.SpentSeedIgnoredEvent
	)
	spentSeed := of(seen(noon), func(report *Report) { report.SeedIgnored, report.Inputs = true, "spent seed" })
	for _, c := range []struct {
		name   string
		scene  scene
		report Report
		want   []string
		reason string
	}{
		// Refreshed.
		{"the first token", created(), obtained(noon), []string{refreshed}, "it is the first"},
		{"a token from a state that was kept", created(), seen(noon), nil, "nothing was refreshed"},
		{"a renewal", fresh(), obtained(later), nil, "one event each transition, none each refresh"},
		{"a look at a fresh token", fresh(), seen(noon), nil, "nothing has changed"},
		{"a success after a failure", fresh().reported(attempted(noon, unavailable)), obtained(later), []string{refreshed}, "the failure is over"},
		{"a success after a missing Secret", fresh().reported(hindered(noon, missing)), obtained(later), []string{refreshed}, "the failure is over"},
		{"a success after a failure, and the write-back fails", fresh().reported(attempted(noon, unavailable)), writeBackFails(obtained(later)), []string{refreshed, failed}, "one is over, and another begins"},
		{"a renewal while the write-back goes on failing", fresh().reported(writeBackFails(obtained(noon.Add(time.Minute)))), writeBackFails(obtained(later)), nil, "nothing has changed"},
		{"a token that cannot be written", created(), unpublished(none, noon, blocked), []string{failed}, "it is not in the target"},
		{"a token that could not be written, and now is", created().reported(unpublished(none, noon, blocked)), seen(noon), []string{refreshed}, "it is the first in the target"},
		{"a target that could not be looked at, and now is", fresh().reported(hindered(noon, blocked)), seen(noon), nil, "no token was written"},

		// RefreshFailed and its like.
		{"a failure", fresh(), attempted(noon, unavailable), []string{failed}, "it went well before"},
		{"another failure of its kind", fresh().reported(attempted(noon, unavailable)), attempted(noon, unavailable), nil, "an outage has one event"},
		{"a failure that stands", fresh().reported(attempted(noon, unavailable)), standing(noon), nil, "nothing was tried"},
		{"another kind of failure", fresh().reported(attempted(noon, unavailable)), attempted(noon, problemOf(v1alpha1.RateLimitedReason)), []string{failed}, "it is another"},
		{"a refused grant", fresh(), attempted(noon, refused), []string{v1alpha1.ReauthorizationRequiredReason}, "it has an event of its own"},
		{"an unknown outcome", fresh(), attempted(noon, unknown), []string{v1alpha1.OutcomeUnknownReason}, "it has an event of its own"},
		{"an unknown outcome that stands", fresh().reported(attempted(noon, unknown)), standing(noon), nil, "it was reported before"},
		{"an unknown outcome that is found once more", fresh().reported(attempted(noon, unknown)), hindered(noon, unknown), nil, "nothing was tried in between"},
		{"another unknown outcome, after a new seed", fresh().reported(attempted(noon, unknown)), attempted(noon, unknown), []string{v1alpha1.OutcomeUnknownReason}, "it is of another token"},
		{"an unknown outcome that another process left", fresh(), hindered(noon, unknown), []string{v1alpha1.OutcomeUnknownReason}, "that process did not come to report it"},
		{"a missing Secret", fresh(), hindered(noon, missing), []string{failed}, "it was there before"},
		{"a Secret that is still missing", fresh().reported(hindered(noon, missing)), hindered(noon, missing), nil, "it was reported before"},
		{"a renewal and the target fail", fresh(), of(attempted(noon, refused), func(report *Report) { report.Publication = blocked }), []string{v1alpha1.ReauthorizationRequiredReason}, "the renewal comes first"},
		{"a target that goes on needing a person while a renewal succeeds", fresh().reported(unpublished(noon, later, conflict)), unpublished(noon, later.Add(renewal), conflict), nil, "it was reported before"},
		{"a target that goes on needing a person after an outage", fresh().reported(of(attempted(noon, unavailable), func(report *Report) { report.Publication = conflict })),
			unpublished(noon, later, conflict), nil, "the condition Stalled has shown it all the time"},
		{"suspended", fresh().suspended(), idle(noon), nil, "a person did that"},
		{"suspended after a failure", fresh().reported(attempted(noon, unavailable)).suspended(), idle(noon), nil, "a person did that"},

		// Those that are due once.
		{"a lifetime of 60 seconds", created(), ofLifetime(obtained(noon), time.Minute), []string{refreshed, short}, "a kubelet may be too slow for it"},
		{"another lifetime of 60 seconds", created().reported(ofLifetime(obtained(noon), time.Minute)), ofLifetime(obtained(later), time.Minute), nil, "it is reported once"},
		{"a lifetime of 90 seconds", created(), ofLifetime(obtained(noon), 90*time.Second), []string{refreshed}, "that is just long enough, whatever the fraction of the second"},
		{"a lifetime that becomes short", fresh(), ofLifetime(obtained(later), time.Minute), []string{short}, "it was long before"},
		{"a lifetime that cannot be used", created(), ignored(obtained(noon)), []string{lifetimeNo, refreshed}, "the default holds"},
		{"another lifetime that cannot be used", created().reported(ignored(obtained(noon))), ignored(obtained(later)), nil, "it is reported once, and stays in Refreshed"},
		{"a seed that is adopted", created(), of(obtained(noon), func(report *Report) { report.SeedAdopted = true }), []string{v1alpha1.SeedAdoptedEvent, refreshed}, "its call has been made"},
		{"a spent seed", fresh(), spentSeed, []string{spent}, "somebody has put it back"},
		{"a spent seed that was reported", fresh().reported(spentSeed), spentSeed, nil, "it was reported before"},
		{"a spent seed at the first reconcile", created(), spentSeed, []string{spent}, "a credential that came back to its state"},
		{"a spent seed while the API server blocks", fresh(), writeBackFails(spentSeed), []string{spent, failed}, "somebody has put it back"},
		{"a spent seed while the API server goes on blocking", fresh().reported(writeBackFails(spentSeed)), writeBackFails(spentSeed), nil, "not at each retry"},
		{"a target that was repaired", fresh(), of(seen(noon), func(report *Report) { report.Repaired = true }), []string{v1alpha1.TargetRepairedEvent}, "somebody has changed it"},
		{"a first token of which nobody is nudged", created(), notNudged(obtained(noon)), []string{v1alpha1.PodsNotNudgedEvent, refreshed}, "whoever asked for it must know"},
		{"another token of which nobody is nudged", created().reported(notNudged(obtained(noon))), notNudged(obtained(later)), nil, "it is reported once, and stays in Ready"},
		{"nudges that are asked for by an edit", fresh().edited(func(*v1alpha1.TokenCredential) {}), notNudged(seen(noon)), []string{v1alpha1.PodsNotNudgedEvent}, "whoever asked for it must know"},
		{"a pause behind the adoption of a seed", fresh(), Report{Paused: true, SeedAdopted: true, Repaired: true}, []string{v1alpha1.SeedAdoptedEvent, v1alpha1.TargetRepairedEvent}, "what was done is done once"},
		{"a pause", fresh(), Report{Paused: true, SeedIgnored: true, Inputs: "other"}, nil, "what it has found is found again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, eventsOf(c.scene, c.report)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestEventsSayWhatHappened reads the messages as a person does.
func TestEventsSayWhatHappened(t *testing.T) {
	t.Parallel()
	all := obtained(noon)
	all.SeedAdopted, all.SeedIgnored, all.Repaired, all.WriteBack = true, true, true, refused
	all.Attempt.LifetimeIgnored, all.Attempt.Remark = true, remark
	all = ofLifetime(all, time.Minute)
	next := Next(created().TokenCredential, all, noon)
	events := Events(created().TokenCredential, &next, all)
	if len(events) != 7 {
		t.Fatalf("there are %d events, want one of each of the 7 kinds", len(events))
	}
	for _, event := range events {
		if event.Type == "" || event.Reason == "" || event.Action == "" || event.Message == "" {
			t.Errorf("the event is incomplete: %+v", event)
		}
		if strings.HasPrefix(event.Message, event.Reason) {
			t.Errorf("the message repeats the reason: %+v", event)
		}
	}
	want := `a token that expires at 2026-11-22T12:01:00Z was written to the Secret "shop"`
	if got := events[3].Message; got != want {
		t.Errorf("Refreshed says %q, want %q", got, want)
	}
	if got := events[4].Message; !strings.HasPrefix(got, "tokens live for 1m0s only") {
		t.Errorf("ShortLifetime says %q, not the whole minute that the status shows", got)
	}
	if got := messageIn(&next, v1alpha1.RefreshedCondition); got != refused.Message {
		t.Errorf("Refreshed says %q", got)
	}
}

// remark is what was wrong with a reply.
const remark = "the reply states a lifetime (expiresIn) that cannot be read, so 1h0m0s is assumed"

// TestARemarkHasAnEvent of its own kind.
func TestARemarkHasAnEvent(t *testing.T) {
	t.Parallel()
	for want, ignored := range map[string]bool{v1alpha1.LifetimeIgnoredEvent: true, v1alpha1.ImperfectReplyEvent: false} {
		report := obtained(noon)
		report.Attempt.LifetimeIgnored, report.Attempt.Remark = ignored, remark
		next := Next(created().TokenCredential, report, noon)
		events := Events(created().TokenCredential, &next, report)
		if len(events) == 0 || events[0].Reason != want || events[0].Message != remark {
			t.Errorf("got %+v, want first the event %s", events, want)
		}
	}
}

// TestARemarkStays keeps what was wrong with a reply in the condition, for as long as
// its token is the last one.
func TestARemarkStays(t *testing.T) {
	t.Parallel()
	report := obtained(noon)
	report.Attempt.LifetimeIgnored, report.Attempt.Remark = true, remark
	remarked := created().reported(report)
	for _, c := range []struct {
		name   string
		scene  scene
		want   bool
		reason string
	}{
		{"the reply", remarked, true, "an event alone is forgotten after an hour"},
		{"a look at it", remarked.reported(seen(noon)), true, "it is still true"},
		{"the next reply", remarked.reported(obtained(noon.Add(renewal))), false, "nothing was wrong with that one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, condition := range []string{v1alpha1.RefreshedCondition, v1alpha1.ReadyCondition} {
				if got := messageIn(&c.scene.Status, condition); strings.Contains(got, remark) != c.want {
					t.Errorf("%s says %q: %s", condition, got, c.reason)
				}
			}
		})
	}
}

func TestAStatusThatIsNotStoredNamesWhatToCorrect(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, want string
		fields     []string
	}{
		{"an older CRD let something in", "correct spec.renewal.before, spec.target.name", []string{"spec.renewal.before", "spec.target.name"}},
		{"a field of the status is unknown", "apply the one that comes with it", []string{"status.lastAttempt.told"}},
		{"nothing is named", "apply the one that comes with it", nil},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			event := NotStored(each.fields)
			if event.Reason != v1alpha1.StatusRefusedEvent || !strings.Contains(event.Message, each.want) {
				t.Errorf("the event is %s: %s\nwant it to say %q", event.Reason, event.Message, each.want)
			}
		})
	}
}
