// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const (
	lifetime = time.Hour
	renewal  = 48 * time.Minute // after the issue
)

// scene is a credential and the time.
type scene struct {
	*v1alpha1.TokenCredential
	now time.Time
}

// created is a credential that was never reconciled.
func created() scene {
	credential := &v1alpha1.TokenCredential{}
	credential.Namespace, credential.Name, credential.UID, credential.Generation = "team-a", "shop", "uid", 1
	credential.Spec.ProviderRef.Name = "xiaomi"
	credential.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{}
	credential.Spec.RefreshTokenSecretRef.Name = "shop-refresh"
	return scene{credential, noon}
}

// reported is the scene after a report.
func (s scene) reported(report Report) scene {
	next := s.DeepCopy()
	next.Status = Next(s.TokenCredential, report, s.now)
	return scene{next, s.now}
}

// later is the scene once nothing but time has passed.
func (s scene) later(pause time.Duration) scene {
	next := s.DeepCopy()
	next.Status = Expire(s.TokenCredential, s.now.Add(pause))
	return scene{next, s.now.Add(pause)}
}

// edited is the scene after a user has changed the spec.
func (s scene) edited(edit func(*v1alpha1.TokenCredential)) scene {
	next := s.DeepCopy()
	next.Generation++
	edit(next)
	return scene{next, s.now}
}

func (s scene) suspended() scene {
	return s.edited(func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true })
}

func (s scene) resumed() scene {
	return s.edited(func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = false })
}

// fresh is a credential with its first token, which was obtained at noon.
func fresh() scene { return created().reported(obtained(noon)) }

// seen is what a reconcile reports that has found the token of a moment in the
// target; the zero time: none was obtained yet.
func seen(issued time.Time) Report {
	report := Report{Inputs: "digest", State: &State{ResourceVersion: "5", Seed: "seed", Sequence: 0}, Target: &Target{}}
	if !issued.IsZero() {
		validity := token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(lifetime)}
		report.Target = &Target{ResourceVersion: "7", Token: validity, Holds: true}
		report.State.Sequence = 1 + int64(issued.Sub(noon)/time.Minute)
		report.Due = issued.Add(renewal)
	}
	return report
}

// obtained reports a renewal that went well.
func obtained(issued time.Time) Report {
	report := seen(issued)
	report.Attempt = &Attempt{Token: report.Target.Token}
	return report
}

// attempted reports an attempt that brought no token, beside the one of a moment.
func attempted(issued time.Time, p *problem.Problem) Report {
	report := seen(issued)
	report.Attempt, report.Due = &Attempt{Problem: p}, time.Time{}
	return report
}

// hindered reports what stands in the way of an attempt.
func hindered(issued time.Time, p *problem.Problem) Report {
	report := seen(issued)
	report.Renewal = p
	return report
}

// standing reports that what the last attempt failed for stands.
func standing(issued time.Time) Report {
	report := seen(issued)
	report.Standing = true
	return report
}

// idle reports a reconcile of a suspended credential.
func idle(issued time.Time) Report {
	report := seen(issued)
	report.Suspended, report.Due = true, time.Time{}
	return report
}

// unpublished reports a token that was obtained and cannot be written to the target.
func unpublished(before, issued time.Time, p *problem.Problem) Report {
	report := obtained(issued)
	report.Target, report.Publication = seen(before).Target, p
	return report
}

func problemOf(reason string) *problem.Problem {
	return problem.New(reason, "what happened of %s, and what to do", reason)
}

var (
	unavailable = problemOf(v1alpha1.ProviderUnavailableReason)
	blocked     = problemOf(v1alpha1.PersistBlockedReason)
	conflict    = problemOf(v1alpha1.TargetConflictReason)
	missing     = problemOf(v1alpha1.SecretNotFoundReason)
	refused     = problemOf(v1alpha1.ReauthorizationRequiredReason)
	unknown     = problemOf(v1alpha1.OutcomeUnknownReason)
)

// conditions are the status and reason of each condition; empty: absent.
type conditions struct{ Ready, Refreshed, Reconciling, Stalled string }

func conditionsOf(known *v1alpha1.TokenCredentialStatus) conditions {
	of := func(kind string) string {
		condition := meta.FindStatusCondition(known.Conditions, kind)
		if condition == nil {
			return ""
		}
		return string(condition.Status) + " " + condition.Reason
	}
	return conditions{of(v1alpha1.ReadyCondition), of(v1alpha1.RefreshedCondition), of(v1alpha1.ReconcilingCondition), of(v1alpha1.StalledCondition)}
}

func messageIn(known *v1alpha1.TokenCredentialStatus, kind string) string {
	condition := meta.FindStatusCondition(known.Conditions, kind)
	if condition == nil {
		return ""
	}
	return condition.Message
}

// checkKstatus checks what kstatus asks of the conditions, and the bounds of the API.
func checkKstatus(t interface{ Errorf(string, ...any) }, known *v1alpha1.TokenCredentialStatus) {
	reconciling := meta.FindStatusCondition(known.Conditions, v1alpha1.ReconcilingCondition)
	stalled := meta.FindStatusCondition(known.Conditions, v1alpha1.StalledCondition)
	for _, condition := range []*metav1.Condition{reconciling, stalled} {
		if condition != nil && condition.Status != metav1.ConditionTrue {
			t.Errorf("%s is %s, want True or absent", condition.Type, condition.Status)
		}
	}
	if reconciling != nil && stalled != nil {
		t.Errorf("Reconciling and Stalled are both there")
	}
	for _, kind := range []string{v1alpha1.ReadyCondition, v1alpha1.RefreshedCondition} {
		if meta.FindStatusCondition(known.Conditions, kind) == nil {
			t.Errorf("%s is absent", kind)
		}
	}
	if meta.IsStatusConditionTrue(known.Conditions, v1alpha1.ReadyCondition) && !strings.Contains(messageIn(known, v1alpha1.ReadyCondition), "holds a token") {
		t.Errorf("Ready is True and does not say of what")
	}
	for _, condition := range known.Conditions {
		if len(condition.Message) > maxMessage {
			t.Errorf("the message of %s has %d bytes", condition.Type, len(condition.Message))
		}
	}
}

func at(moment time.Time) *metav1.Time { return &metav1.Time{Time: moment} }

func timeIs(t *testing.T, what string, got *metav1.Time, want time.Time, reason string) {
	t.Helper()
	if wanted := timeOrNil(want); !got.Equal(wanted) {
		t.Errorf("%s is %v, want %v: %s", what, got, wanted, reason)
	}
}
