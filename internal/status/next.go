// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/schedule"
)

// Next is the status after a report. The credential's own status is the old one,
// and is left alone.
func Next(credential *v1alpha1.TokenCredential, report Report, now time.Time) v1alpha1.TokenCredentialStatus {
	old := &credential.Status
	next := *old.DeepCopy()
	if report.Paused {
		if old.ObservedGeneration != 0 {
			pause(&next, credential, report, now)
		}
		return next
	}
	next.ObservedGeneration = credential.Generation
	if report.Inputs != "" {
		next.ObservedInputs = report.Inputs
	}
	if report.IsBlocked() {
		next.ObservedInputs = "" // not all could be looked at or written: look again, after a restart too
	}
	recordState(&next, credential, report.State)
	recordTarget(&next, credential, report.Target)
	recordAttempt(&next, credential, report, now)
	problems := report.problems(old)
	next.NextRefreshTime = nextRefresh(&next, credential, report, problems, now)
	setConditions(&next, credential, report, problems, now)
	return next
}

// Expire is the status once nothing but time has passed: Ready turns False at the
// expiry of the token, and says what stands in the way of another. Before that it
// stays as it is.
func Expire(credential *v1alpha1.TokenCredential, now time.Time) v1alpha1.TokenCredentialStatus {
	next := *credential.Status.DeepCopy()
	updateReady(&next, credential, now)
	return next
}

// pause brings a status up to date where a reconcile ended early: what it has seen to
// be different is said, and the rest stays, since nothing was tried.
func pause(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, report Report, now time.Time) {
	recordTarget(next, credential, report.Target)
	shown := shownProblem(next)
	if shown == nil || report.Inputs == "" || !isOfInputs(shown.Reason) {
		updateReady(next, credential, now)
		return
	}
	var problems []*problem.Problem // the inputs are right now
	if last := lastProblem(next); last != nil {
		problems = append(problems, last)
	}
	setConditions(next, credential, report, problems, now)
}

// isOfInputs reports whether a reason lies in what the user wrote, so that a reconcile
// which gets to the call has got past it.
func isOfInputs(reason string) bool {
	switch reason {
	case v1alpha1.SecretNotFoundReason, v1alpha1.SecretKeyMissingReason, v1alpha1.ProviderNotFoundReason,
		v1alpha1.ProviderInvalidReason, v1alpha1.InvalidParametersReason, v1alpha1.TargetConflictReason:
		return true
	}
	return false
}

func recordState(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, state *State) {
	if state == nil {
		return
	}
	seed := state.Seed
	if state.Copied && next.StateSecret != nil {
		seed = cmp.Or(next.StateSecret.Seed, seed) // nothing else remembers that this one was sent
	}
	if isOverwritten(next, state) {
		next.LastAttempt = nil
	}
	next.StateSecret = &v1alpha1.StateSecretStatus{
		Name:            credential.StateSecretName(),
		ResourceVersion: state.ResourceVersion,
		Seed:            seed,
	}
	if state.Sequence >= 0 {
		// What a proven token brings is counted here alone, so the state may be behind.
		next.RefreshCount = max(next.RefreshCount, state.Sequence)
		next.RefreshTokenExpirationTime = timeOrNil(state.RefreshTokenExpiresAt)
	}
}

// isOverwritten reports whether the state of which the last attempt says that it was restored
// has been written since, by who knew what to hold of it.
func isOverwritten(next *v1alpha1.TokenCredentialStatus, state *State) bool {
	last, told := next.LastAttempt, next.StateSecret
	return last != nil && last.Reason == v1alpha1.RestoredFromBackupReason && !state.Copied && (told == nil || told.ResourceVersion != state.ResourceVersion)
}

// recordTarget notes the token that the target holds now.
func recordTarget(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, target *Target) {
	if target == nil {
		return
	}
	if !target.Holds {
		// What the target was last seen to hold is kept as what is known of the
		// token; that it is not there is said by the absence of a version.
		if next.Target != nil {
			next.Target = &v1alpha1.TargetStatus{Name: credential.TargetName()}
		}
		return
	}
	next.Target = &v1alpha1.TargetStatus{Name: credential.TargetName(), ResourceVersion: target.ResourceVersion}
	if !target.Token.IsZero() {
		next.LastRefreshTime = timeOrNil(target.Token.IssuedAt)
		next.ExpirationTime = timeOrNil(target.Token.ExpiresAt)
	}
}

// recordAttempt notes how the last attempt ended, and counts failures.
func recordAttempt(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, report Report, now time.Time) {
	ended := func(reason, message, refused string) {
		next.LastAttempt = &v1alpha1.AttemptStatus{
			Reason:       reason,
			Message:      cut(message, maxMessage),
			Time:         metav1.Time{Time: now.UTC().Truncate(time.Second)},
			Inputs:       report.Inputs,
			RefusedToken: refused,
		}
	}
	switch attempt := report.Attempt; {
	case attempt != nil && attempt.Problem != nil:
		ended(attempt.Problem.Reason, attempt.Problem.Message, attempt.RefusedToken)
		next.FailedAttempts++
		next.LastFailureTime = &metav1.Time{Time: now.UTC().Truncate(time.Second)}
	case attempt != nil:
		ended(v1alpha1.RefreshedReason, attempt.Remark, "")
		next.FailedAttempts, next.LastFailureTime = 0, nil
		if report.State == nil || report.State.Sequence < 0 {
			next.RefreshCount++
		}
		if !attempt.RefreshTokenExpiresAt.IsZero() {
			next.RefreshTokenExpirationTime = timeOrNil(attempt.RefreshTokenExpiresAt)
		}
	case report.Renewal != nil && isOutcome(report.Renewal.Reason):
		if last := next.LastAttempt; last == nil || last.Reason != report.Renewal.Reason || last.Inputs != report.Inputs {
			// Another process made it, a state that was put back says so, or it is so with
			// other inputs too, which then have not mended it.
			ended(report.Renewal.Reason, report.Renewal.Message, "")
		}
	case report.Renewal == nil && report.Missing == nil && !report.Standing && !report.Suspended:
		if next.LastAttempt != nil && next.LastAttempt.Reason != v1alpha1.RefreshedReason {
			ended(v1alpha1.RefreshedReason, "", "") // another process has got a token, or what was wrong is over
		}
		next.FailedAttempts, next.LastFailureTime = 0, nil
	}
	if report.Handled {
		next.LastHandledRefreshAt = credential.Annotations[v1alpha1.RefreshAtAnnotation]
	}
}

// isOutcome reports whether a reason says how an attempt ended, whoever made it.
func isOutcome(reason string) bool {
	switch reason {
	case v1alpha1.OutcomeUnknownReason, v1alpha1.RotatedTokenLostReason, v1alpha1.RestoredFromBackupReason, v1alpha1.DuplicateSourceReason,
		v1alpha1.ReauthorizationRequiredReason: // without a call: the token belongs to another origin
		return true
	}
	return false
}

// nextRefresh is when the provider will be called next, as far as that is planned.
func nextRefresh(next *v1alpha1.TokenCredentialStatus, credential *v1alpha1.TokenCredential, report Report, problems []*problem.Problem, now time.Time) *metav1.Time {
	var renewal *problem.Problem
	if len(problems) > 0 && problems[0] != report.Publication && problems[0] != report.WriteBack {
		renewal = problems[0]
	}
	switch {
	case report.Suspended:
		return nil
	case renewal == nil:
		return timeOrNil(report.Due)
	case renewal.Stalls():
		return nil
	case report.Attempt != nil:
		return timeOrNil(schedule.RetryAt(now, next.FailedAttempts, renewal.RetryAfter, string(credential.UID)))
	case report.Standing:
		return next.NextRefreshTime
	case report.IsBlocked() && next.FailedAttempts > 0 && next.NextRefreshTime != nil && now.Before(next.NextRefreshTime.Time):
		return next.NextRefreshTime // what the API server refuses ends no backoff
	default:
		return nil // an input that is missing wakes the credential when it comes
	}
}

func timeOrNil(moment time.Time) *metav1.Time {
	if moment.IsZero() {
		return nil
	}
	return &metav1.Time{Time: moment.UTC().Truncate(time.Second)}
}

func rfc3339(moment time.Time) string { return moment.UTC().Format(time.RFC3339) }

// Rebase is the status after a report that was made at a moment, on top of one that somebody
// else has written until now. Where theirs has got further, it stays.
func Rebase(credential *v1alpha1.TokenCredential, theirs v1alpha1.TokenCredentialStatus, report Report, at, now time.Time) v1alpha1.TokenCredentialStatus {
	if isBehind(report, &theirs, at, now) {
		return theirs
	}
	if isSince(report, &theirs, at) && showsOlderToken(report, &theirs) {
		report.Target = nil // by a cache that lagged; what the attempt met is not less true
	}
	if made := theirs.LastAttempt; report.Attempt == nil && !isFurther(report, &theirs) && !equality.Semantic.DeepEqual(made, credential.Status.LastAttempt) &&
		(report.Renewal == nil || hasEnded(report.Renewal, made, at)) {
		report.Renewal, report.Standing = nil, true // what theirs failed for: this reconcile did not know of it
	}
	rebased := *credential
	rebased.Status = theirs
	return Next(&rebased, report, at)
}

// isBehind reports whether a status is of a later token than a report, which made no attempt
// since or one that this token answers, or of a later attempt that the report has not got
// further than.
func isBehind(report Report, theirs *v1alpha1.TokenCredentialStatus, at, now time.Time) bool {
	if report.Renewal != nil && report.Renewal.Reason == v1alpha1.RestoredFromBackupReason {
		return false // the state went back, and what theirs has counted with it
	}
	hasFewer := report.State != nil && report.State.Sequence >= 0 && report.State.Sequence < theirs.RefreshCount
	if (hasFewer || showsOlderToken(report, theirs)) && !isSince(report, theirs, at) {
		return true
	}
	if !isFurther(report, theirs) && hasUnseenToken(report, theirs, now) {
		return true
	}
	tells := report.Attempt != nil || report.Renewal != nil && isOutcome(report.Renewal.Reason)
	made := theirs.LastAttempt
	return tells && made != nil && made.Time.After(at) && !isFurther(report, theirs) &&
		!schedule.FromFuture(made.Time.Time, now) // else the clocks differ, and nothing tells which was first
}

// hasUnseenToken reports whether a status knows of a token that a report has not seen, which
// tells of a failure that is tried again by itself, and of no refusal: it may have got that
// very token, and was not told that it is saved. With the token there is nothing to try again.
func hasUnseenToken(report Report, theirs *v1alpha1.TokenCredentialStatus, now time.Time) bool {
	attempt, came := report.Attempt, theirs.LastRefreshTime
	if attempt == nil || attempt.Problem == nil || attempt.Problem.Stalls() || attempt.RefusedToken != "" || came == nil {
		return false
	}
	hasSeen := report.Target != nil && report.Target.Token.IssuedAt.Unix() >= came.Unix()
	return !hasSeen && !schedule.FromFuture(came.Time, now)
}

// hasEnded reports whether an attempt of unknown outcome, which was looked at, has failed since
// as a status says, perhaps in the same second.
func hasEnded(looked *problem.Problem, made *v1alpha1.AttemptStatus, at time.Time) bool {
	return looked.Reason == v1alpha1.OutcomeUnknownReason && made != nil && made.Reason != v1alpha1.OutcomeUnknownReason &&
		made.Reason != v1alpha1.RefreshedReason && !made.Time.Time.Before(at.Truncate(time.Second))
}

// isSince reports whether a report tells of an attempt that ended after the last token of a
// status had come. What it has seen of the state and the target may be older all the same: by
// a cache that lagged, and a state that does not count what a proven token brought.
func isSince(report Report, theirs *v1alpha1.TokenCredentialStatus, at time.Time) bool {
	return report.Attempt != nil && theirs.LastRefreshTime != nil && !theirs.LastRefreshTime.After(at)
}

// showsOlderToken reports whether a report has seen an older token in the target than a status
// knows of.
func showsOlderToken(report Report, theirs *v1alpha1.TokenCredentialStatus) bool {
	return report.Target != nil && !report.Target.Token.IsZero() && theirs.LastRefreshTime != nil &&
		report.Target.Token.IssuedAt.Unix() < theirs.LastRefreshTime.Unix()
}

// isFurther reports whether the state that a report has seen counts more tokens than a status.
func isFurther(report Report, theirs *v1alpha1.TokenCredentialStatus) bool {
	return report.State != nil && report.State.Sequence > theirs.RefreshCount
}

// IsTransition reports whether a condition has changed its status or its reason.
func IsTransition(old, next *v1alpha1.TokenCredentialStatus) bool {
	if len(old.Conditions) != len(next.Conditions) {
		return true
	}
	for _, condition := range next.Conditions {
		before := meta.FindStatusCondition(old.Conditions, condition.Type)
		if before == nil || before.Status != condition.Status || before.Reason != condition.Reason {
			return true
		}
	}
	return false
}
