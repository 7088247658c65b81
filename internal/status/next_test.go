// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// none is the moment of no token.
var none time.Time

// expired is a fresh credential on which nothing was done until its token expired.
func expired() scene { return fresh().later(lifetime) }

// TestConditions says what each kind of report shows.
func TestConditions(t *testing.T) {
	t.Parallel()
	goneTarget := func(report Report) Report {
		report.Target = &Target{}
		return report
	}
	noticed := func(report Report) Report {
		report.Notice = conflict
		return report
	}
	for _, c := range []struct {
		name   string
		scene  scene
		want   conditions
		ready  string // what the message of Ready says
		reason string
	}{
		{"a fresh token", fresh(), conditions{"True TokenValid", "True Refreshed", "", ""},
			`the Secret "shop" holds a token that expires at 2026-11-22T13:00:00Z`, "all is well"},
		{"a first reconcile that only looked", created().reported(seen(none)), conditions{"False Pending", "Unknown Pending", "True Pending", ""},
			"no token has been obtained yet", "the first token is on its way"},
		{"a token from a state that was kept", created().reported(seen(noon)), conditions{"True TokenValid", "True Adopted", "", ""},
			"holds a token", "no call was made for it"},
		{"a token that was adopted, looked at again", created().reported(seen(noon)).reported(seen(noon)), conditions{"True TokenValid", "True Adopted", "", ""},
			"holds a token", "nothing has changed"},
		{"a renewal after an adoption", created().reported(seen(noon)).reported(obtained(noon.Add(renewal))), conditions{"True TokenValid", "True Refreshed", "", ""},
			"holds a token", "the provider gave it"},

		// Without a token, each obstacle is the reason.
		{"a first attempt that is retried", created().reported(attempted(none, unavailable)),
			conditions{"False ProviderUnavailable", "False ProviderUnavailable", "True ProviderUnavailable", ""},
			"no token has been obtained yet: " + unavailable.Message, "Pending is only said while nothing is wrong"},
		{"a first attempt that was denied the way out", created().reported(attempted(none, problemOf(v1alpha1.EgressDeniedReason))),
			conditions{"False EgressDenied", "False EgressDenied", "True EgressDenied", ""},
			"no token has been obtained yet: ", "Pending is only said while nothing is wrong"},
		{"a first attempt that stalls", created().reported(attempted(none, refused)),
			conditions{"False ReauthorizationRequired", "False ReauthorizationRequired", "", "True ReauthorizationRequired"},
			"no token has been obtained yet: " + refused.Message, "a person must act"},
		{"a Secret is missing", created().reported(hindered(none, missing)),
			conditions{"False SecretNotFound", "False SecretNotFound", "True SecretNotFound", ""},
			missing.Message, "it goes on by itself once the Secret is there"},
		{"a provider that does not compile", created().reported(hindered(none, problemOf(v1alpha1.ProviderInvalidReason))),
			conditions{"False ProviderInvalid", "False ProviderInvalid", "", "True ProviderInvalid"},
			"no token has been obtained yet: ", "a person must act"},
		{"a Secret that was missing and is there", created().reported(hindered(none, missing)).reported(seen(none)),
			conditions{"False Pending", "Unknown Pending", "True Pending", ""},
			"no token has been obtained yet", "nothing is wrong any more"},

		// While the old token is valid, Ready stays, and says what is wrong.
		{"a renewal that is retried", fresh().reported(attempted(noon, unavailable)),
			conditions{"True TokenValid", "False ProviderUnavailable", "True ProviderUnavailable", ""},
			"; " + unavailable.Message, "a failed renewal does not clear Ready"},
		{"a renewal that stalls", fresh().reported(attempted(noon, unknown)),
			conditions{"True TokenValid", "False OutcomeUnknown", "", "True OutcomeUnknown"},
			"; " + unknown.Message, "it is seen in the list before the token expires"},
		{"a failure that stands", fresh().reported(attempted(noon, unavailable)).reported(standing(noon)),
			conditions{"True TokenValid", "False ProviderUnavailable", "True ProviderUnavailable", ""},
			"; " + unavailable.Message, "it stays as it was said"},
		{"a stall that was cured", fresh().reported(attempted(noon, refused)).reported(obtained(noon.Add(time.Minute))),
			conditions{"True TokenValid", "True Refreshed", "", ""}, "13:01:00Z", "nothing of it is left"},
		{"a stall that another process has ended", fresh().reported(attempted(noon, unknown)).reported(seen(noon)),
			conditions{"True TokenValid", "True Refreshed", "", ""}, "13:00:00Z", "nothing of it is left"},

		// Once it has expired, what stands in the way is the reason.
		{"expired", expired(), conditions{"False TokenExpired", "True Refreshed", "", ""}, "the token expired at 2026-11-22T13:00:00Z", "nothing else is known"},
		{"expired while it is retried", fresh().reported(attempted(noon, unavailable)).later(lifetime),
			conditions{"False ProviderUnavailable", "False ProviderUnavailable", "True ProviderUnavailable", ""},
			"the token expired at 2026-11-22T13:00:00Z: " + unavailable.Message, "the reason says why there is no other"},
		{"expired while stalled", fresh().reported(attempted(noon, refused)).later(lifetime),
			conditions{"False ReauthorizationRequired", "False ReauthorizationRequired", "", "True ReauthorizationRequired"},
			"the token expired at 2026-11-22T13:00:00Z: " + refused.Message, "a person must act on it"},
		{"expired while a restored state is held back", fresh().reported(hindered(noon, problemOf(v1alpha1.RestoredFromBackupReason))).later(lifetime),
			conditions{"False RestoredFromBackup", "False RestoredFromBackup", "", "True RestoredFromBackup"},
			"the token expired", "a person must act on it"},
		{"expired while a Secret is missing", fresh().reported(hindered(noon, missing)).later(lifetime),
			conditions{"False SecretNotFound", "False SecretNotFound", "True SecretNotFound", ""},
			"the token expired at 2026-11-22T13:00:00Z: " + missing.Message, "what is no attempt stands in the way, too"},
		{"expired, and then a Secret is missing", expired().reported(hindered(noon, missing)),
			conditions{"False SecretNotFound", "False SecretNotFound", "True SecretNotFound", ""},
			"the token expired", "what stands in the way now"},
		{"expired, and the next token cannot be written", expired().reported(unpublished(noon, noon.Add(lifetime), blocked)),
			conditions{"False PersistBlocked", "False PersistBlocked", "True PersistBlocked", ""},
			"the token expired at 2026-11-22T13:00:00Z: " + blocked.Message, "the target still holds the old one"},

		// Suspended.
		{"suspended", fresh().suspended().reported(idle(noon)), conditions{"True TokenValid", "True Refreshed", "", ""},
			`expires at 2026-11-22T13:00:00Z`, "the token is as good as before"},
		{"suspended, and expired", fresh().suspended().reported(idle(noon)).later(lifetime), conditions{"False Suspended", "True Refreshed", "", ""},
			"the token expired at 2026-11-22T13:00:00Z: spec.suspend is true: set it to false to go on", "that is what a person can act on"},
		{"suspended before the first token", created().suspended().reported(idle(none)), conditions{"False Suspended", "Unknown Pending", "", ""},
			"no token has been obtained yet: spec.suspend is true", "nothing is under way"},
		{"suspended, and the target is deleted", fresh().suspended().reported(goneTarget(idle(noon))), conditions{"False Suspended", "True Refreshed", "", ""},
			`the Secret "shop" does not hold the token that was obtained at 2026-11-22T12:00:00Z: spec.suspend is true`, "Ready speaks of what was looked at"},
		{"suspended while stalled", fresh().reported(attempted(noon, refused)).suspended().reported(idle(noon)), conditions{"True TokenValid", "False ReauthorizationRequired", "", ""},
			"holds a token", "the last attempt is as it was"},
		{"suspended while stalled, and expired", fresh().reported(attempted(noon, refused)).suspended().reported(idle(noon)).later(lifetime),
			conditions{"False Suspended", "False ReauthorizationRequired", "", ""}, "spec.suspend is true", "the suspension comes first"},
		{"suspended, and a Secret is missing", fresh().suspended().reported(func() Report {
			report := idle(noon)
			report.Renewal = missing
			return report
		}()), conditions{"True TokenValid", "True Refreshed", "", ""}, "holds a token", "nothing is tried, so nothing is missing"},
		{"suspended, and a token cannot be saved", fresh().suspended().reported(func() Report {
			report := idle(noon)
			report.Renewal = blocked
			return report
		}()), conditions{"True TokenValid", "False PersistBlocked", "True PersistBlocked", ""}, "; " + blocked.Message, "suspension stops calls, not recovery"},
		{"resumed while stalled", fresh().reported(attempted(noon, refused)).suspended().reported(idle(noon)).resumed().reported(standing(noon)),
			conditions{"True TokenValid", "False ReauthorizationRequired", "", "True ReauthorizationRequired"}, "; " + refused.Message, "the stall was not forgotten"},

		// The target.
		{"a target that was deleted", fresh().reported(goneTarget(seen(noon))), conditions{"False Pending", "True Refreshed", "", ""},
			`the Secret "shop" does not hold the token that was obtained at 2026-11-22T12:00:00Z`, "it is repaired, and nothing is wrong"},
		{"a target that another writer keeps deleting", fresh().reported(noticed(goneTarget(seen(noon)))), conditions{"False TargetConflict", "True Refreshed", "", ""},
			": " + conflict.Message, "Pending is only said while nothing is wrong"},
		{"a notice beside a fresh token", fresh().reported(noticed(seen(noon))), conditions{"True TokenValid", "True Refreshed", "", ""},
			"; " + conflict.Message, "it stands in the way of nothing"},
		{"a notice, once expired", expired().reported(noticed(seen(noon))), conditions{"False TokenExpired", "True Refreshed", "", ""},
			": " + conflict.Message, "the notice is not why there is no token"},
		{"a notice beside a retried renewal, once expired", expired().reported(noticed(attempted(noon, unavailable))),
			conditions{"False ProviderUnavailable", "False ProviderUnavailable", "True ProviderUnavailable", ""},
			unavailable.Message + "; and " + conflict.Message, "the notice is not why there is no token"},
		{"a first token that cannot be written", created().reported(unpublished(none, noon, blocked)), conditions{"False PersistBlocked", "False PersistBlocked", "True PersistBlocked", ""},
			`the Secret "shop" does not hold the token that was obtained: ` + blocked.Message, "a token has been obtained"},
		{"a token that cannot be written", fresh().reported(unpublished(noon, noon.Add(renewal), blocked)), conditions{"True TokenValid", "False PersistBlocked", "True PersistBlocked", ""},
			"expires at 2026-11-22T13:00:00Z; " + blocked.Message, "the old one is there, and valid"},
		{"a target that a webhook changes", created().reported(unpublished(none, noon, conflict)), conditions{"False TargetConflict", "False TargetConflict", "", "True TargetConflict"},
			conflict.Message, "a person must act"},

		// Two at a time.
		{"a renewal and the target fail", fresh().reported(func() Report {
			report := attempted(noon, refused)
			report.Publication, report.Target = blocked, &Target{}
			return report
		}()), conditions{"False ReauthorizationRequired", "False ReauthorizationRequired", "", "True ReauthorizationRequired"},
			refused.Message + "; and " + blocked.Message, "both are reported, the renewal first"},
		{"a renewal is retried and the target needs a person", expired().reported(func() Report {
			report := attempted(noon, unavailable)
			report.Publication = conflict
			return report
		}()), conditions{"False TargetConflict", "False ProviderUnavailable", "", "True TargetConflict"},
			unavailable.Message + "; and " + conflict.Message, "Ready carries the reason that a person must act on"},
		{"a write-back fails", fresh().reported(func() Report {
			report := obtained(noon.Add(renewal))
			report.WriteBack = blocked
			return report
		}()), conditions{"True TokenValid", "False PersistBlocked", "True PersistBlocked", ""}, "; " + blocked.Message, "the token is there, and that it is not written back is reported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			known := &c.scene.Status
			if diff := cmp.Diff(c.want, conditionsOf(known)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if got := messageIn(known, v1alpha1.ReadyCondition); !strings.Contains(got, c.ready) {
				t.Errorf("Ready does not say %q: %q: %s", c.ready, got, c.reason)
			}
			checkKstatus(t, known)
		})
	}
}

// TestStalledSaysWhatToActOn leaves out what goes on by itself.
func TestStalledSaysWhatToActOn(t *testing.T) {
	t.Parallel()
	report := attempted(noon, unavailable)
	report.Publication = conflict
	known := fresh().reported(report).Status
	if got := messageIn(&known, v1alpha1.StalledCondition); got != conflict.Message {
		t.Errorf("Stalled has the reason TargetConflict and says %q", got)
	}
	want := unavailable.Message + "; and " + conflict.Message
	if got := messageIn(&known, v1alpha1.RefreshedCondition); got != want {
		t.Errorf("Refreshed says %q, want both: %q", got, want)
	}
}

// TestNextRefreshTime says when the provider is called next.
func TestNextRefreshTime(t *testing.T) {
	t.Parallel()
	patient := problem.New(v1alpha1.RateLimitedReason, "come again in an hour")
	patient.RetryAfter = 2 * time.Hour
	rateLimited := fresh().reported(attempted(noon, patient))
	retryAt := rateLimited.Status.NextRefreshTime.Time
	late := scene{rateLimited.TokenCredential, retryAt.Add(time.Second)}
	for _, c := range []struct {
		name   string
		scene  scene
		want   time.Time
		reason string
	}{
		{"a fresh token", fresh(), noon.Add(renewal), "at its renewal"},
		{"no token yet", created().reported(seen(none)), none, "nothing is planned"},
		{"a token that cannot be written", fresh().reported(unpublished(noon, noon.Add(time.Minute), blocked)), noon.Add(time.Minute + renewal),
			"the provider is not asked because the target cannot be written"},
		{"a target that needs a person", fresh().reported(unpublished(noon, noon.Add(time.Minute), conflict)), noon.Add(time.Minute + renewal), "the token is renewed all the same"},
		{"a write-back that fails", fresh().reported(func() Report {
			report := seen(noon)
			report.WriteBack = blocked
			return report
		}()), noon.Add(renewal), "it delays no renewal"},
		{"stalled", fresh().reported(attempted(noon, refused)), none, "a person must act first"},
		{"stalled, looked at again", fresh().reported(attempted(noon, refused)).reported(standing(noon)), none, "a person must act first"},
		{"stalled and cured", fresh().reported(attempted(noon, refused)).reported(obtained(noon.Add(time.Minute))), noon.Add(time.Minute + renewal), "at the renewal of the new token"},
		{"stalled and ended by another process", fresh().reported(attempted(noon, unknown)).reported(seen(noon)), noon.Add(renewal), "at the renewal of the token at hand"},
		{"a conflict that a person has ended", fresh().reported(hindered(noon, conflict)).reported(seen(noon)), noon.Add(renewal), "at the renewal of the token at hand"},
		{"suspended", fresh().suspended().reported(idle(noon)), none, "nothing is called"},
		{"suspended and resumed", fresh().suspended().reported(idle(noon)).resumed().reported(seen(noon)), noon.Add(renewal), "at the renewal of the token at hand"},
		{"suspended during a backoff", rateLimited.suspended().reported(idle(noon)), none, "nothing is called"},
		{"suspended during a backoff, and the API server blocks", rateLimited.suspended().reported(func() Report {
			report := idle(noon)
			report.Renewal = blocked
			return report
		}()), none, "nothing is called"},
		{"a Secret is missing", fresh().reported(hindered(noon, missing)), none, "it wakes the credential when it comes"},
		{"the provider asks for a pause", rateLimited, retryAt, "not before the pause has passed"},
		{"during the pause", rateLimited.reported(standing(noon)), retryAt, "looking again does not move it"},
		{"the API server cannot be reached during the pause", rateLimited.reported(hindered(noon, blocked)), retryAt, "that does not end the pause"},
		{"the API server cannot be reached behind the pause", late.reported(hindered(noon, blocked)), none, "what has passed would wake the credential without end"},
		{"the API server cannot be reached while it is fresh", fresh().reported(hindered(noon, blocked)), none, "it is planned anew once it can be looked at"},
		{"a Secret is missing during the pause", rateLimited.reported(hindered(noon, missing)), none, "when it comes, the inputs have changed"},
		{"a pause for another process", rateLimited.reported(Report{Paused: true, Inputs: "digest"}), retryAt, "a pause plans nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			timeIs(t, "nextRefreshTime", c.scene.Status.NextRefreshTime, c.want, c.reason)
		})
	}
	if retryAt.Before(noon.Add(patient.RetryAfter)) {
		t.Errorf("the next call is at %s, before the pause of %s has passed", retryAt, patient.RetryAfter)
	}
}

// TestFields says what the rest of the status keeps.
func TestFields(t *testing.T) {
	t.Parallel()
	type fields struct {
		Count      int64
		Failed     int32
		FailedAt   bool
		Last       string
		Inputs     string
		Observed   string
		Generation int64
		Handled    string
		Target     string
	}
	requested := func(s scene) scene {
		next := s.DeepCopy()
		next.Annotations = map[string]string{v1alpha1.RefreshAtAnnotation: "now"}
		return scene{next, s.now}
	}
	handled := func(report Report) Report {
		report.Handled = true
		return report
	}
	uncounted := func(report Report) Report {
		report.State = nil
		return report
	}
	for _, c := range []struct {
		name   string
		scene  scene
		want   fields
		reason string
	}{
		{"the first token", fresh(), fields{1, 0, false, "Refreshed", "digest", "digest", 1, "", "7"}, "the state counts it"},
		{"two tokens of which no state counts", created().reported(uncounted(obtained(noon))).reported(uncounted(obtained(noon))),
			fields{2, 0, false, "Refreshed", "digest", "digest", 1, "", "7"}, "then the attempts count"},
		{"a look at a fresh token of which no state counts", created().reported(uncounted(obtained(noon))).reported(uncounted(seen(noon))),
			fields{1, 0, false, "Refreshed", "digest", "digest", 1, "", "7"}, "nothing was obtained"},
		{"two failures", fresh().reported(attempted(noon, unavailable)).reported(attempted(noon, unavailable)),
			fields{1, 2, true, "ProviderUnavailable", "digest", "digest", 1, "", "7"}, "the backoff rests on their number"},
		{"a failure that stands", fresh().reported(attempted(noon, unavailable)).reported(standing(noon)),
			fields{1, 1, true, "ProviderUnavailable", "digest", "digest", 1, "", "7"}, "nothing was tried"},
		{"a success after failures", fresh().reported(attempted(noon, unavailable)).reported(obtained(noon.Add(time.Minute))),
			fields{2, 0, false, "Refreshed", "digest", "digest", 1, "", "7"}, "no failure is left to show"},
		{"a failure that another process has ended", fresh().reported(attempted(noon, unavailable)).reported(seen(noon.Add(time.Minute))),
			fields{2, 0, false, "Refreshed", "digest", "digest", 1, "", "7"}, "no failure is left to show"},
		{"a failure, then suspended", fresh().reported(attempted(noon, refused)).suspended().reported(idle(noon)),
			fields{1, 1, true, "ReauthorizationRequired", "digest", "digest", 2, "", "7"}, "the stall outlasts the suspension"},
		{"a failure, then a missing Secret", fresh().reported(attempted(noon, unavailable)).reported(hindered(noon, missing)),
			fields{1, 1, true, "ProviderUnavailable", "digest", "digest", 1, "", "7"}, "that was no attempt"},
		{"an outcome that another process left", fresh().reported(hindered(noon, unknown)),
			fields{1, 0, false, "OutcomeUnknown", "digest", "digest", 1, "", "7"}, "it must outlast a restart"},
		{"a restored state", fresh().reported(hindered(noon, problemOf(v1alpha1.RestoredFromBackupReason))),
			fields{1, 0, false, "RestoredFromBackup", "digest", "digest", 1, "", "7"}, "it must outlast a restart"},
		{"a request that was answered", requested(fresh()).reported(handled(obtained(noon.Add(time.Minute)))),
			fields{2, 0, false, "Refreshed", "digest", "digest", 1, "now", "7"}, "it is echoed"},
		{"a request that was answered with a failure", requested(fresh()).reported(handled(attempted(noon, unavailable))),
			fields{1, 1, true, "ProviderUnavailable", "digest", "digest", 1, "now", "7"}, "it is echoed, whichever way it ended"},
		{"a request that was not answered", requested(fresh()).reported(hindered(noon, missing)),
			fields{1, 0, false, "Refreshed", "digest", "digest", 1, "", "7"}, "it is still to be answered"},
		{"inputs that could not be read", fresh().reported(Report{Renewal: missing}),
			fields{1, 0, false, "Refreshed", "digest", "digest", 1, "", "7"}, "those that are known stay"},
		{"an API server that refuses", fresh().reported(hindered(noon, blocked)),
			fields{1, 0, false, "Refreshed", "digest", "", 1, "", "7"}, "the next reconcile looks again, after a restart too"},
		{"a target that was deleted", fresh().reported(Report{Inputs: "digest", Target: &Target{}}),
			fields{1, 0, false, "Refreshed", "digest", "digest", 1, "", ""}, "no version of it holds the token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			known := &c.scene.Status
			got := fields{
				Count: known.RefreshCount, Failed: known.FailedAttempts, FailedAt: known.LastFailureTime != nil,
				Last: known.LastAttempt.Reason, Inputs: known.LastAttempt.Inputs,
				Observed: known.ObservedInputs, Generation: known.ObservedGeneration, Handled: known.LastHandledRefreshAt,
				Target: known.Target.ResourceVersion,
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestPause says what a reconcile that ended early shows: what it has seen, and
// nothing else changes.
func TestPause(t *testing.T) {
	t.Parallel()
	waits := Report{Paused: true, Inputs: "digest"}
	for _, c := range []struct {
		name   string
		before scene
		report Report
		want   conditions
		reason string
	}{
		{"before the first reconcile has ended", created(), waits, conditions{}, "thousands that wait for their first slot write nothing"},
		{"fresh", fresh(), waits, conditionsOf(&fresh().Status), "nothing has changed"},
		{"retried", fresh().reported(attempted(noon, unavailable)), waits,
			conditions{"True TokenValid", "False ProviderUnavailable", "True ProviderUnavailable", ""}, "what is known to be wrong stays"},
		{"retried without a token", created().reported(attempted(none, unavailable)), waits,
			conditions{"False ProviderUnavailable", "False ProviderUnavailable", "True ProviderUnavailable", ""}, "Ready does not go back to Pending at each wait"},
		{"a write-back that fails", fresh().reported(func() Report {
			report := seen(noon)
			report.WriteBack = blocked
			return report
		}()), waits, conditions{"True TokenValid", "False PersistBlocked", "True PersistBlocked", ""}, "a wait mends nothing"},
		{"the token expires meanwhile", scene{fresh().TokenCredential, noon.Add(lifetime)}, waits, conditions{"False TokenExpired", "True Refreshed", "", ""}, "Ready turns False at the expiry"},
		{"the target is deleted meanwhile", fresh(), Report{Paused: true, Inputs: "digest", Target: &Target{}},
			conditions{"False Pending", "True Refreshed", "", ""}, "Ready speaks of what was looked at"},
		{"a missing Secret is there", created().reported(hindered(none, missing)), waits,
			conditions{"False Pending", "Unknown Pending", "True Pending", ""}, "nobody is asked to create what is there"},
		{"a missing Secret is there, behind a failure", fresh().reported(attempted(noon, unavailable)).reported(hindered(noon, missing)), waits,
			conditions{"True TokenValid", "False ProviderUnavailable", "True ProviderUnavailable", ""}, "what the last attempt failed for is still true"},
		{"a missing Secret, before the inputs were read", created().reported(hindered(none, missing)), Report{Paused: true},
			conditions{"False SecretNotFound", "False SecretNotFound", "True SecretNotFound", ""}, "it may be missing still"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			after := c.before.reported(c.report)
			if diff := cmp.Diff(c.want, conditionsOf(&after.Status)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if events := Events(c.before.TokenCredential, &after.Status, c.report); len(events) > 0 {
				t.Errorf("a pause is no news, but has the events %v", events)
			}
			if again := after.reported(c.report); !cmp.Equal(after.Status, again.Status) {
				t.Errorf("a second pause changes the status:\n%s", cmp.Diff(after.Status, again.Status))
			}
		})
	}
}

// TestRebase puts a report on top of what another process has written.
func TestRebase(t *testing.T) {
	t.Parallel()
	later := noon.Add(renewal)
	for _, c := range []struct {
		name   string
		theirs scene
		report Report
		stays  bool
		reason string
		waited time.Duration // until the report is written
	}{
		{"a status of a later token of the state", fresh().reported(obtained(later)), attempted(noon, unavailable), true, "theirs has got further", 0},
		{"a status of a later token in the target", fresh().reported(obtained(later)), func() Report {
			report := attempted(noon, unavailable)
			report.State = nil
			return report
		}(), true, "theirs has got further", 0},
		{"a status of the same token", fresh(), attempted(noon, refused), false, "an outcome is never lost", 0},
		{"a status of an earlier token", fresh(), obtained(later), false, "the report has got further", 0},
		{"a status before any token", created(), obtained(noon), false, "the report has got further", 0},
		{"a status of a later attempt with the same token", fresh().later(time.Minute).reported(attempted(noon, refused)), obtained(noon), true, "what the later attempt found stands", 0},
		{"the token of an attempt that seemed not to be saved", created().reported(seen(noon.Add(-time.Second))), Report{Attempt: &Attempt{Problem: blocked}, Target: &Target{}}, true, "it has been found: there is nothing to try again", 0},
		{"a token that was at hand in an attempt that failed", created().reported(seen(noon.Add(-time.Second))), attempted(noon.Add(-time.Second), unavailable), false, "the failure came after it", 0},
		{"a token that an attempt had not seen, and its refusal", created().reported(seen(noon.Add(-time.Second))), Report{Attempt: &Attempt{Problem: refused}, Target: &Target{}}, false, "an outcome is never lost", 0},
		{"a token that an attempt had not seen, and a refusal that could not be saved", created().reported(seen(noon.Add(-time.Second))), Report{Attempt: &Attempt{Problem: blocked, RefusedToken: "digest"}, Target: &Target{}}, false, "nothing else tells of it", 0},
		{"a token that an attempt had not seen, and a refused app", created().reported(seen(noon.Add(-time.Second))), Report{Attempt: &Attempt{Problem: problemOf(v1alpha1.AppRejectedReason)}, Target: &Target{}}, false, "a person must act", 0},
		{"a status of a later attempt, and a report from before there was a state", fresh().later(time.Minute).reported(obtained(noon.Add(time.Minute))), Report{Attempt: &Attempt{Problem: unavailable}}, true, "what the later attempt found stands", 0},
		{"a status of a later attempt, and a token that was held before", fresh().later(time.Minute).reported(obtained(noon.Add(time.Minute))), Report{Renewal: problemOf(v1alpha1.RotatedTokenLostReason)}, true, "what the later attempt found stands", 0},
		{"a refusal of the same second, and an attempt whose outcome is unknown", fresh().reported(attempted(noon, refused)), Report{Renewal: problemOf(v1alpha1.OutcomeUnknownReason)}, true, "the attempt that was looked at was the one that was refused", 0},
		{"a status of an earlier attempt, and a token that is held", fresh(), Report{Renewal: problemOf(v1alpha1.RotatedTokenLostReason)}, false, "an outcome is never lost", 0},
		{"a status of a later token, and a state that was put back", fresh().reported(obtained(later)), func() Report {
			report := seen(noon)
			report.Renewal = problemOf(v1alpha1.RestoredFromBackupReason)
			return report
		}(), false, "what was put back has gone back behind theirs", 0},
		{"a status of the same token, and nothing was looked at", fresh(), Report{Renewal: blocked}, false, "the report says nothing of a token", 0},
		{"a status of a later attempt, and a report that waited longer than clocks differ", fresh().later(5 * time.Minute).reported(attempted(noon.Add(5*time.Minute), refused)), attempted(noon, unavailable), true, "it was late, and no clock is wrong", 6 * time.Minute},
		{"a status from the future", fresh().later(time.Hour).reported(attempted(noon, refused)), attempted(noon, unavailable), false, "a clock is wrong, and nothing tells which attempt was first", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ours := created()
			got := Rebase(ours.TokenCredential, c.theirs.Status, c.report, noon, noon.Add(c.waited))
			want := c.theirs.Status
			if !c.stays {
				want = Next(c.theirs.TokenCredential, c.report, noon)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if ours.Status.ObservedGeneration != 0 {
				t.Error("the credential's own status was changed")
			}
		})
	}
}

func TestIsTransition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		from   scene
		report Report
		want   bool
		reason string
	}{
		{"the first status", created(), seen(none), true, "there were no conditions"},
		{"a renewal", fresh(), obtained(noon.Add(renewal)), false, "only times and messages change"},
		{"a failure", fresh(), attempted(noon, unavailable), true, "Refreshed turns False"},
		{"another failure of its kind", fresh().reported(attempted(noon, unavailable)), attempted(noon, unavailable), false, "only numbers change"},
		{"another kind of failure", fresh().reported(attempted(noon, unavailable)), attempted(noon, problemOf(v1alpha1.RateLimitedReason)), true, "the reason is another"},
		{"a recovery", fresh().reported(attempted(noon, refused)), obtained(noon.Add(renewal)), true, "Stalled goes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			after := c.from.reported(c.report)
			if got := IsTransition(&c.from.Status, &after.Status); got != c.want {
				t.Errorf("got %t, want %t: %s", got, c.want, c.reason)
			}
		})
	}
}

// TestOutcomeWithOtherInputs says that what stalls again with other inputs is not mended
// by these.
func TestOutcomeWithOtherInputs(t *testing.T) {
	t.Parallel()
	duplicate := problemOf(v1alpha1.DuplicateSourceReason)
	again := hindered(none, duplicate)
	again.Inputs = "another seed"
	first := created().reported(hindered(none, duplicate))
	for _, c := range []struct {
		name   string
		scene  scene
		inputs string
	}{
		{"the first time", first, first.Status.LastAttempt.Inputs},
		{"a second time with the same inputs", first.reported(hindered(none, duplicate)), first.Status.LastAttempt.Inputs},
		{"a second time with another seed", first.reported(again), "another seed"},
	} {
		if got := c.scene.Status.LastAttempt.Inputs; got != c.inputs {
			t.Errorf("%s: the last attempt was made with %q, want %q: else it counts as mended for ever", c.name, got, c.inputs)
		}
	}
}

// TestThatAStateWasRestoredIsSaidOfThatStateAlone reports what the API server refused after
// another seed was adopted.
func TestThatAStateWasRestoredIsSaidOfThatStateAlone(t *testing.T) {
	t.Parallel()
	restored := seen(noon)
	restored.Renewal, restored.State.Copied = problemOf(v1alpha1.RestoredFromBackupReason), true
	told := fresh().reported(restored)
	for _, c := range []struct {
		name, reason string
		version      string
		copied       bool
		want         bool
	}{
		{"the same version", "whoever has seen that may be gone", told.Status.StateSecret.ResourceVersion, false, true},
		{"another version that is a copy, too", "it still holds", "9", true, true},
		{"another version", "it was written by who knew what to hold of it: with a new seed, or at a person's word", "9", false, false},
	} {
		report := seen(noon)
		report.Renewal, report.State.Copied, report.State.ResourceVersion = blocked, c.copied, c.version
		last := told.reported(report).Status.LastAttempt
		if got := last != nil && last.Reason == v1alpha1.RestoredFromBackupReason; got != c.want {
			t.Errorf("%s: it is said: %t, want %t\nreason: %s", c.name, got, c.want, c.reason)
		}
	}
}

// TestEarlierOutcome says that what the API server refuses hides no outcome that a person
// must act on.
func TestEarlierOutcome(t *testing.T) {
	t.Parallel()
	blocked := func(inputs string) Report {
		report := hindered(noon, problemOf(v1alpha1.PersistBlockedReason))
		report.Inputs = inputs
		return report
	}
	stalled := fresh().reported(attempted(noon, refused))
	made := stalled.Status.LastAttempt.Inputs
	for _, c := range []struct {
		name  string
		scene scene
		want  conditions
	}{
		{"the inputs could not be read", stalled.reported(blocked("")), conditions{"True TokenValid", "False ReauthorizationRequired", "", "True ReauthorizationRequired"}},
		{"the inputs are the same", stalled.reported(blocked(made)), conditions{"True TokenValid", "False ReauthorizationRequired", "", "True ReauthorizationRequired"}},
		{"another seed has come", stalled.reported(blocked("another")), conditions{"True TokenValid", "False PersistBlocked", "True PersistBlocked", ""}},
		{"nothing had stalled", fresh().reported(blocked(made)), conditions{"True TokenValid", "False PersistBlocked", "True PersistBlocked", ""}},
	} {
		if diff := cmp.Diff(c.want, conditionsOf(&c.scene.Status), cmp.AllowUnexported(conditions{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestRebaseOfWhatDidNotAsk says that a reconcile which did not call the provider does not
// end what another process has met meanwhile.
func TestRebaseOfWhatDidNotAsk(t *testing.T) {
	t.Parallel()
	ours := fresh()
	theirs := ours.reported(attempted(noon, refused))
	got := Rebase(ours.TokenCredential, theirs.Status, seen(noon), noon, noon)
	want := conditions{"True TokenValid", "False ReauthorizationRequired", "", "True ReauthorizationRequired"}
	if diff := cmp.Diff(want, conditionsOf(&got), cmp.AllowUnexported(conditions{})); diff != "" {
		t.Errorf("the refusal that another process has met (-want +got):\n%s", diff)
	}
	if got := Rebase(theirs.TokenCredential, theirs.Status, seen(noon), noon, noon); conditionsOf(&got).Stalled != "" {
		t.Error("a reconcile that knew of the refusal, and found it over, is not heard")
	}
	if got := Rebase(ours.TokenCredential, theirs.Status, seen(noon.Add(renewal)), noon, noon); conditionsOf(&got).Stalled != "" {
		t.Error("a reconcile that has seen a later token saved than the refused one brought is not heard")
	}
}

// TestRebaseOfAnAttemptThatWasMadeOnAnOldCache: a process that has just started may not see the
// token that the one before it got last, where the status alone counts it.
func TestRebaseOfAnAttemptThatWasMadeOnAnOldCache(t *testing.T) {
	t.Parallel()
	theirs := fresh().reported(obtained(noon.Add(renewal)))
	at := noon.Add(renewal + time.Minute)
	report := attempted(noon, refused)
	got := Rebase(fresh().TokenCredential, theirs.Status, report, at, at)
	if got.LastAttempt == nil || got.LastAttempt.Reason != v1alpha1.ReauthorizationRequiredReason {
		t.Errorf("the last attempt is %+v, want the refusal: it would be forgotten, and the token sent again", got.LastAttempt)
	}
	if !got.LastRefreshTime.Equal(theirs.Status.LastRefreshTime) || got.Target.ResourceVersion != theirs.Status.Target.ResourceVersion {
		t.Errorf("the status knows of a token of %s, want the later one of %s", got.LastRefreshTime, theirs.Status.LastRefreshTime)
	}
}

// TestTheCountOfTokensDoesNotFall has the state behind what the status alone has counted.
func TestTheCountOfTokensDoesNotFall(t *testing.T) {
	t.Parallel()
	ours := fresh().reported(obtained(noon.Add(renewal)))
	if got := Next(ours.TokenCredential, seen(noon), noon); got.RefreshCount != ours.Status.RefreshCount {
		t.Errorf("it falls from %d to %d", ours.Status.RefreshCount, got.RefreshCount)
	}
}

// TestTheSeedThatWasAdoptedLastIsRememberedOverACopy: the copy may be from before that.
func TestTheSeedThatWasAdoptedLastIsRememberedOverACopy(t *testing.T) {
	t.Parallel()
	ours := fresh()
	ours.Status.StateSecret.Seed = "later"
	for _, copied := range []bool{true, false} {
		report := seen(noon)
		report.State.Seed, report.State.Copied = "earlier", copied
		want := map[bool]string{true: "later", false: "earlier"}[copied]
		if got := Next(ours.TokenCredential, report, noon).StateSecret.Seed; got != want {
			t.Errorf("of a state that is a copy (%t) the status remembers %q, want %q", copied, got, want)
		}
	}
}
