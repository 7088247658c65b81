// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

var reasons = []string{
	v1alpha1.SecretNotFoundReason, v1alpha1.InvalidParametersReason, v1alpha1.TargetConflictReason, v1alpha1.EgressDeniedReason,
	v1alpha1.ReauthorizationRequiredReason, v1alpha1.AppRejectedReason, v1alpha1.RequestRejectedReason, v1alpha1.RateLimitedReason,
	v1alpha1.ProviderUnavailableReason, v1alpha1.OutcomeUnknownReason, v1alpha1.PersistBlockedReason, v1alpha1.RotatedTokenLostReason,
	v1alpha1.DuplicateSourceReason, v1alpha1.RestoredFromBackupReason,
}

func drawProblem(t *rapid.T, what string) *problem.Problem {
	reason := rapid.SampledFrom(append([]string{""}, reasons...)).Draw(t, what)
	if reason == "" {
		return nil
	}
	length := rapid.SampledFrom([]int{1, 100, 600, 3000}).Draw(t, what+" length")
	return problem.New(reason, "%s of %s", strings.Repeat("ä", length), what)
}

// drawReport draws what a reconcile may report of the token of a moment.
func drawReport(t *rapid.T, s scene, issued time.Time) Report {
	report := seen(issued)
	if s.Spec.Suspend {
		report = idle(issued)
		report.Renewal = drawProblem(t, "renewal")
		return report
	}
	switch rapid.SampledFrom([]string{"looked", "obtained", "attempted", "hindered", "standing", "paused"}).Draw(t, "kind") {
	case "obtained":
		report = obtained(issued)
	case "attempted":
		if p := drawProblem(t, "attempt"); p != nil {
			report = attempted(issued, p)
		}
	case "hindered":
		report.Renewal = drawProblem(t, "renewal")
	case "standing":
		report.Standing = lastProblem(&s.Status) != nil
	case "paused":
		return Report{Paused: true, Inputs: rapid.SampledFrom([]string{"", "digest"}).Draw(t, "inputs")}
	}
	report.Publication = drawProblem(t, "publication")
	report.WriteBack = drawProblem(t, "write-back")
	report.Notice = drawProblem(t, "notice")
	if rapid.Bool().Draw(t, "target gone") {
		report.Target = &Target{}
	}
	return report
}

// repeated is the report of a reconcile that finds everything as a report left it.
func repeated(report Report) Report {
	if report.Attempt != nil {
		report.Standing, report.Attempt = report.Attempt.Problem != nil, nil
	}
	return report
}

// TestProperties drives a credential through random histories.
func TestProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := created()
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			s.now = s.now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "minutes")) * time.Minute)
			switch rapid.SampledFrom([]string{"", "", "", "suspend", "resume"}).Draw(t, "edit") {
			case "suspend":
				s = s.suspended()
			case "resume":
				s = s.resumed()
			}
			issued := rapid.SampledFrom([]time.Time{noon, s.now}).Draw(t, "issued")
			report := drawReport(t, s, issued)
			if s.Status.ObservedGeneration == 0 {
				report.Paused = false
			}
			before := s.DeepCopy()
			after := s.reported(report)
			if diff := cmp.Diff(before, s.TokenCredential); diff != "" {
				t.Fatalf("Next has changed the old status:\n%s", diff)
			}
			checkStatus(t, after)
			checkRepeats(t, after, repeated(report))
			s = after
		}
	})
}

// checkStatus checks what every status promises.
func checkStatus(t *rapid.T, s scene) {
	known := &s.Status
	checkKstatus(t, known)
	got := conditionsOf(known)
	valid := known.ExpirationTime != nil && s.now.Before(known.ExpirationTime.Time) && known.Target.ResourceVersion != ""
	if strings.HasPrefix(got.Ready, "True") != valid {
		t.Errorf("Ready is %s, and a valid token is in the target: %t", got.Ready, valid)
	}
	isWrong := strings.HasPrefix(got.Refreshed, "False") && !s.Spec.Suspend || got.Stalled != ""
	if got.Ready == "False Pending" && isWrong {
		t.Errorf("Ready says Pending while something is wrong: %+v", got)
	}
	if strings.Contains(messageIn(known, v1alpha1.ReadyCondition), "no token has been obtained yet") && (known.RefreshCount > 0 || known.LastRefreshTime != nil) {
		t.Errorf("Ready says that no token was obtained, of %d", known.RefreshCount)
	}
	if got.Stalled != "" && got.Ready[:5] == "False" && strings.TrimPrefix(got.Ready, "False ") != strings.TrimPrefix(got.Stalled, "True ") {
		t.Errorf("Ready is %s, and a person must act on %s", got.Ready, got.Stalled)
	}
	for _, condition := range known.Conditions {
		if !utf8.ValidString(condition.Message) {
			t.Errorf("the message of %s is cut inside a character", condition.Type)
		}
	}
}

// checkRepeats checks that a status stays while nothing happens, however often it is
// computed, and that nothing is announced.
func checkRepeats(t *rapid.T, s scene, report Report) {
	again := s.reported(report)
	if diff := cmp.Diff(s.Status, again.Status); diff != "" {
		t.Errorf("the same report once more changes the status:\n%s", diff)
	}
	if events := Events(s.TokenCredential, &again.Status, report); len(events) > 0 {
		t.Errorf("the same report once more has the events %v", events)
	}
	for _, pause := range []time.Duration{0, time.Second, 24 * time.Hour} {
		after := s.later(pause)
		expires := s.Status.ExpirationTime
		if expires == nil || !s.now.Before(expires.Time) || s.now.Add(pause).Before(expires.Time) {
			if diff := cmp.Diff(s.Status, after.Status); diff != "" {
				t.Errorf("%s later, and before any expiry, the status is another:\n%s", pause, diff)
			}
		}
		if s.Status.ObservedGeneration != 0 {
			checkStatus(t, after)
		}
		if twice := after.later(0); !cmp.Equal(after.Status, twice.Status) {
			t.Errorf("the expiry changes the status twice:\n%s", cmp.Diff(after.Status, twice.Status))
		}
	}
}

// TestMessagesAreCut bounds what a condition says.
func TestMessagesAreCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", maxMessage)
	for _, c := range []struct {
		name   string
		report Report
		says   []string
		reason string
	}{
		{"one long problem", attempted(noon, problem.New(v1alpha1.ProviderUnavailableReason, "first %s", long)), []string{"first"}, "what comes first says what happened"},
		{"two long problems", func() Report {
			report := attempted(noon, problem.New(v1alpha1.ProviderUnavailableReason, "first %s", long))
			report.Publication = problem.New(v1alpha1.PersistBlockedReason, "second %s", long)
			return report
		}(), []string{"first", "second"}, "none hides another"},
		{"a long problem before a short one", func() Report {
			report := attempted(noon, problem.New(v1alpha1.ProviderUnavailableReason, "first %s", long))
			report.WriteBack = problem.New(v1alpha1.PersistBlockedReason, "second")
			return report
		}(), []string{"first", "second"}, "none hides another"},
	} {
		for shift := range 2 { // so that the cut falls inside a character, and between two
			t.Run(fmt.Sprint(c.name, shift), func(t *testing.T) {
				t.Parallel()
				report := c.report
				p := *report.Attempt.Problem
				p.Message = strings.Repeat("x", shift) + p.Message
				report.Attempt = &Attempt{Problem: &p}
				known := fresh().reported(report).Status
				for _, condition := range known.Conditions {
					if len(condition.Message) > maxMessage || !utf8.ValidString(condition.Message) {
						t.Errorf("the message of %s has %d bytes, valid: %t", condition.Type, len(condition.Message), utf8.ValidString(condition.Message))
					}
					for _, said := range c.says {
						if !strings.Contains(condition.Message, said) {
							t.Errorf("%s does not say %q: %s", condition.Type, said, c.reason)
						}
					}
				}
				if last := known.LastAttempt.Message; len(last) > maxMessage || !utf8.ValidString(last) {
					t.Errorf("lastAttempt has %d bytes", len(last))
				}
			})
		}
	}
}

// TestAStatusThatSomebodyEdited is computed as well as can be.
func TestAStatusThatSomebodyEdited(t *testing.T) {
	t.Parallel()
	s := created()
	s.Status.ExpirationTime = at(noon.Add(time.Hour))
	s.Status.ObservedGeneration = 1
	for name, report := range map[string]Report{"looked": {}, "failed": {Renewal: missing}, "paused": {Paused: true}, "standing": {Standing: true}} {
		next := Next(s.TokenCredential, report, noon)
		if got := conditionsOf(&next).Ready; strings.HasPrefix(got, "True") {
			t.Errorf("%s: Ready is %s without a target", name, got)
		}
	}
}
