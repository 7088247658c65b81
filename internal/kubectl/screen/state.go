// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"charm.land/lipgloss/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// State is how a credential is, from well to what a person must look at first.
type State int

// The states, in the order of their weight.
const (
	Ready State = iota
	Suspended
	Unseen
	NotReady
	Stalled
)

// String implements fmt.Stringer.
func (s State) String() string {
	return [...]string{"Ready", "Suspended", "Unseen", "NotReady", "Stalled"}[s]
}

// StateOf is how a credential is, by its conditions.
func StateOf(credential *v1alpha1.TokenCredential) State {
	conditions := credential.Status.Conditions
	switch {
	case meta.IsStatusConditionTrue(conditions, v1alpha1.StalledCondition):
		return Stalled
	case len(conditions) == 0:
		return Unseen
	case !meta.IsStatusConditionTrue(conditions, v1alpha1.ReadyCondition):
		return NotReady
	case credential.Spec.Suspend:
		return Suspended
	}
	return Ready
}

// Telling is the condition that says most about a credential now: why it is stalled, or
// not ready, or why its last renewal failed.
func Telling(credential *v1alpha1.TokenCredential) metav1.Condition {
	conditions := credential.Status.Conditions
	if stalled := meta.FindStatusCondition(conditions, v1alpha1.StalledCondition); stalled != nil && stalled.Status == metav1.ConditionTrue {
		return *stalled
	}
	ready, refreshed := meta.FindStatusCondition(conditions, v1alpha1.ReadyCondition), meta.FindStatusCondition(conditions, v1alpha1.RefreshedCondition)
	switch {
	case ready == nil:
		return metav1.Condition{}
	case ready.Status == metav1.ConditionTrue && refreshed != nil && refreshed.Status == metav1.ConditionFalse:
		return *refreshed
	}
	return *ready
}

// The colours of states, by number: those of the terminal's own palette.
var (
	good  = lipgloss.NewStyle().Foreground(lipgloss.Green)
	doubt = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	bad   = lipgloss.NewStyle().Foreground(lipgloss.Red)
	faint = lipgloss.NewStyle().Faint(true)
	bold  = lipgloss.NewStyle().Bold(true)
)

// Good is a text in the colour of what has gone well.
func Good(text string) string { return good.Render(text) }

// Colour is a text in the colour of a state; one that is well has none.
func Colour(text string, state State) string {
	switch state {
	case Stalled:
		return bad.Render(text)
	case NotReady, Unseen:
		return doubt.Render(text)
	case Suspended:
		return faint.Render(text)
	case Ready:
	}
	return text
}
