// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strconv"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// expected are the reasons of events that a demo's credentials have anyway:
// refreshes are told of by their effect, and the lifetimes are short on purpose.
var expected = []string{v1alpha1.RefreshedReason, v1alpha1.ShortLifetimeEvent}

// tellEvent tells of an event that is out of the ordinary.
func tellEvent(event *eventsv1.Event) []string {
	if event.Regarding.Kind != "TokenCredential" || slices.Contains(expected, event.Reason) {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s: %s", event.Regarding.Name, event.Reason, event.Note)}
}

// tellRefresh tells of a new token, and of the rotation that came with it.
func tellRefresh(credential *v1alpha1.TokenCredential, rotated bool, rotations int) string {
	line := fmt.Sprintf("%s: %s token in %s", credential.Name,
		ordinal(int(credential.Status.RefreshCount)), credential.TargetName())
	if rotated {
		line += fmt.Sprintf("; refresh token rotated (%s)", ordinal(rotations))
	}
	return line
}

// tellTrouble tells when a credential's Ready or Refreshed becomes False, or is
// False for another reason.
func tellTrouble(before, after *v1alpha1.TokenCredential) []string {
	var lines []string
	for _, kind := range []string{v1alpha1.ReadyCondition, v1alpha1.RefreshedCondition} {
		was := meta.FindStatusCondition(before.Status.Conditions, kind)
		is := meta.FindStatusCondition(after.Status.Conditions, kind)
		if is == nil || is.Status != metav1.ConditionFalse || is.Reason == v1alpha1.PendingReason {
			continue
		}
		if was == nil || was.Status != is.Status || was.Reason != is.Reason {
			lines = append(lines, fmt.Sprintf("%s: %s is False, %s: %s", after.Name, kind, is.Reason, is.Message))
		}
	}
	return lines
}

// ordinal is 1st, 2nd, 3rd, 4th ...
func ordinal(n int) string {
	suffix := "th"
	if n%100/10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}
