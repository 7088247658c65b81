// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestAProviderIsJudged(t *testing.T) {
	t.Parallel()
	ready := metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.CompiledReason, Message: "credentials may use this provider", ObservedGeneration: 2}
	since := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	warned := metav1.Condition{Type: v1alpha1.WarningCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.LikelyMistakeReason, Message: "spec.a: x; spec.b: y", ObservedGeneration: 2}
	said := func(condition metav1.Condition, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		condition.Status, condition.Reason, condition.Message = status, reason, message
		return condition
	}
	for name, c := range map[string]struct {
		reason   string
		before   []metav1.Condition
		warnings []string
		err      error
		want     []metav1.Condition
	}{
		"it compiles": {"nothing else is said", nil, nil, nil, []metav1.Condition{ready}},
		"it compiles with warnings": {"it may be used, and both places tell", nil, []string{"spec.a: x", "spec.b: y"}, nil,
			[]metav1.Condition{warned, said(ready, metav1.ConditionTrue, v1alpha1.CompiledReason, "credentials may use this provider, but look again at spec.a: x; spec.b: y")}},
		"it is mended": {"a warning goes with its cause", []metav1.Condition{warned, ready}, nil, nil, []metav1.Condition{ready}},
		"it is warned of again": {"the time of a condition is when its status changed", []metav1.Condition{{Type: v1alpha1.WarningCondition, Status: metav1.ConditionTrue, LastTransitionTime: since}},
			[]string{"spec.a: x", "spec.b: y"}, nil,
			[]metav1.Condition{warned, said(ready, metav1.ConditionTrue, v1alpha1.CompiledReason, "credentials may use this provider, but look again at spec.a: x; spec.b: y")}},
		"it does not compile": {"where not is said", []metav1.Condition{warned, ready}, nil, errors.New("spec.a:1:2: z"),
			[]metav1.Condition{said(ready, metav1.ConditionFalse, v1alpha1.ProviderInvalidReason, "spec.a:1:2: z")}},
	} {
		conditions := c.before
		judge(&conditions, 2, c.warnings, c.err)
		if diff := cmp.Diff(c.want, conditions, cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime")); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, c.reason, diff)
		}
		if name == "it is warned of again" && !conditions[0].LastTransitionTime.Equal(&since) {
			t.Errorf("%s: %s, and this says %v", name, c.reason, conditions[0].LastTransitionTime)
		}
	}
}
