// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Screen is what is drawn of a credential.
type Screen struct {
	Credential *v1alpha1.TokenCredential
	// Uses are the Secrets and the provider that the credential names.
	Uses []Use
	// Events are the credential's, oldest first.
	Events []Event
	// Mounts are the pods that use the target.
	Mounts []Mount
	// Unknown says what could not be looked at, such as "pods (forbidden)".
	Unknown []string

	Now     time.Time
	Width   int
	Colours bool
}

// Use is something that a credential names, and whether it is as it must be.
type Use struct {
	// What it is used for, such as "app", and Name of the object.
	What, Name string
	// Found says what is there, such as the keys of a Secret.
	Found string
	// Wrong says what is not as it must be; empty: nothing.
	Wrong string
}

// Event is something that happened.
type Event struct {
	At              time.Time
	IsWarning       bool
	Reason, Message string
}

const (
	labelWidth = 12
	barCells   = 40
)

// String draws the screen.
func (s Screen) String() string {
	var b strings.Builder
	s.title(&b)
	s.uses(&b)
	s.token(&b)
	s.conditions(&b)
	s.mounts(&b)
	s.events(&b)
	s.next(&b)
	return b.String()
}

func (s Screen) style(style lipgloss.Style, text string) string {
	if !s.Colours {
		return text
	}
	return style.Render(text)
}

func (s Screen) title(b *strings.Builder) {
	c := s.Credential
	state := StateOf(c)
	word := state.String()
	if s.Colours {
		word = Colour(word, state)
		if state == Ready {
			word = good.Render(word)
		}
	}
	name := s.style(bold, c.Name) + s.style(faint, " in ") + c.Namespace
	gap := max(2, s.Width-len(c.Name)-len(" in ")-len(c.Namespace)-len(state.String()))
	fmt.Fprintf(b, "%s%s%s\n%s\n", name, strings.Repeat(" ", gap), word, s.style(faint, strings.Repeat("─", s.Width)))
}

// line writes a labelled line, wrapped under itself.
func (s Screen) line(b *strings.Builder, label, text string) {
	for i, part := range wrap(text, s.Width-labelWidth) {
		if i > 0 {
			label = ""
		}
		s.write(b, label, part)
	}
}

// write writes a labelled line as it is.
func (s Screen) write(b *strings.Builder, label, text string) {
	fmt.Fprintf(b, "%s%s\n", s.style(faint, fmt.Sprintf("%-*s", labelWidth, label)), text)
}

func (s Screen) uses(b *strings.Builder) {
	for _, use := range s.Uses {
		text, mark := use.Found, s.style(good, "✓")
		if use.Wrong != "" {
			text, mark = use.Wrong, s.style(bad, "✗")
		}
		s.line(b, use.What, strings.TrimRight(fmt.Sprintf("%s %s  %s", mark, use.Name, text), " "))
	}
	b.WriteString("\n")
}

func (s Screen) token(b *strings.Builder) {
	status := s.Credential.Status
	if status.LastRefreshTime == nil || status.ExpirationTime == nil {
		s.line(b, "Token", "none yet")
		b.WriteString("\n")
		return
	}
	s.line(b, "Token", LifeOf(status).Bar(s.Now, barCells, s.Colours))
	s.line(b, "", s.spans(status))
	more := fmt.Sprintf("%d obtained so far", status.RefreshCount)
	if status.FailedAttempts > 0 {
		attempts := "attempts"
		if status.FailedAttempts == 1 {
			attempts = "attempt"
		}
		more += fmt.Sprintf(", %d failed %s since the last", status.FailedAttempts, attempts)
	}
	if status.RefreshTokenExpirationTime != nil {
		more += ", refresh token expires " + s.when(*status.RefreshTokenExpirationTime)
	}
	s.line(b, "", more)
	b.WriteString("\n")
}

func (s Screen) spans(status v1alpha1.TokenCredentialStatus) string {
	parts := []string{"refreshed " + s.when(*status.LastRefreshTime)}
	if status.NextRefreshTime != nil {
		parts = append(parts, "next "+s.when(*status.NextRefreshTime))
	}
	word := "expires "
	if status.ExpirationTime.Time.Before(s.Now) {
		word = "expired "
	}
	return strings.Join(append(parts, word+s.when(*status.ExpirationTime)), " · ")
}

// when is a moment as seen from now.
func (s Screen) when(moment metav1.Time) string {
	if moment.After(s.Now) {
		return "in " + duration.HumanDuration(moment.Sub(s.Now))
	}
	return duration.HumanDuration(s.Now.Sub(moment.Time)) + " ago"
}

// conditions are said in their order, and what several of them say is said once.
func (s Screen) conditions(b *strings.Builder) {
	for i, c := range s.Credential.Status.Conditions {
		isBad := c.Status != metav1.ConditionTrue
		if c.Type == v1alpha1.StalledCondition {
			isBad = !isBad
		}
		value := string(c.Status)
		if isBad {
			value = s.style(bad, value)
		}
		text := fmt.Sprintf("%s, %s", value, c.Reason)
		if !isSaidElsewhere(s.Credential.Status.Conditions, i) {
			text += ": " + c.Message
		}
		s.line(b, c.Type, text)
	}
	if len(s.Credential.Status.Conditions) == 0 {
		s.line(b, "Conditions", "none: no operator has looked at this credential yet")
	}
	b.WriteString("\n")
}

// isSaidElsewhere reports whether the message of a condition is part of another's, or the
// same as that of one before.
func isSaidElsewhere(conditions []metav1.Condition, at int) bool {
	message := conditions[at].Message
	for i, other := range conditions {
		isLonger := len(other.Message) > len(message)
		if i != at && (isLonger || i < at) && strings.Contains(other.Message, message) {
			return true
		}
	}
	return false
}

func (s Screen) mounts(b *strings.Builder) {
	for i, mount := range s.Mounts {
		label := ""
		if i == 0 {
			label = "Used by"
		}
		mark := s.style(good, "✓")
		if !mount.SeesCurrent {
			mark = s.style(doubt, "…")
		}
		s.line(b, label, fmt.Sprintf("%s pod %s: %s", mark, mount.Pod, mount.Says))
	}
	if len(s.Mounts) == 0 && !slices.ContainsFunc(s.Unknown, func(what string) bool { return strings.HasPrefix(what, "pods") }) {
		s.line(b, "Used by", "no pod of this namespace")
	}
	b.WriteString("\n")
}

const shownEvents = 5

func (s Screen) events(b *strings.Builder) {
	shown := s.Events[max(0, len(s.Events)-shownEvents):]
	for i, event := range shown {
		label := ""
		if i == 0 {
			label = "Events"
		}
		text := fmt.Sprintf("%s  %s: %s", s.when(metav1.NewTime(event.At)), event.Reason, event.Message)
		if event.IsWarning {
			text = s.style(doubt, text)
		}
		s.line(b, label, text)
	}
	if len(shown) > 0 {
		b.WriteString("\n")
	}
}

// next says what a person does. Commands are not wrapped, so that they can be copied.
func (s Screen) next(b *strings.Builder) {
	for i, step := range Next(s.Credential) {
		label := ""
		if i == 0 {
			label = "What next"
		}
		s.line(b, label, step.Words)
		if step.Command != "" {
			s.write(b, "", "  "+step.Command)
		}
	}
	for _, what := range s.Unknown {
		s.line(b, "Not seen", what)
	}
}

// unbroken stands for a hyphen while a text is wrapped: names, dates and flags stay whole.
const unbroken = "\u2011"

// wrap breaks a text into lines between words. Escape sequences of colours have no width.
func wrap(text string, width int) []string {
	wrapped := lipgloss.Wrap(strings.ReplaceAll(text, "-", unbroken), max(20, width), " ")
	return strings.Split(strings.ReplaceAll(wrapped, unbroken, "-"), "\n")
}
