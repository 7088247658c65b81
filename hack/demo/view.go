// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
)

// scene is what the demo has brought up, as far as it is shown.
type scene struct {
	kubeconfig string
	tools      string // the folder of kubectl
	lifetime   time.Duration
	started    time.Time
	// operator is the process to kill.
	operator int
}

// frame is all that a window shows at a moment.
type frame struct {
	scene
	rows   []shown
	events []string // the oldest first
	now    time.Time
}

var (
	boldStyle  = lipgloss.NewStyle().Bold(true)
	faintStyle = lipgloss.NewStyle().Faint(true)
)

// leastEvents is how many lines of what happened a low terminal shows; suggestions make
// room for them.
const leastEvents = 4

// view draws a frame so that it fits: first the credentials, then what happened, and
// commands to try below.
func (f frame) view(width, height int) string {
	if width < 1 || height < 1 || f.operator == 0 { // the size or the first frame is yet to come
		return ""
	}
	top := append([]string{f.title(width), faintStyle.Render(strings.Repeat("─", width))}, f.table(width)...)
	top = append(top, "")
	bottom := f.suggestions(width)
	if room := height - len(top) - leastEvents; len(bottom) > room {
		bottom = bottom[:max(room, 0)]
	}
	events := f.happened(width)
	if room := max(height-len(top)-len(bottom), 0); len(events) > room {
		events = events[len(events)-room:]
	} else {
		events = append(events, make([]string, room-len(events))...) // suggestions stay where they are
	}
	lines := append(append(top, events...), bottom...)
	return strings.Join(lines[:min(len(lines), height)], "\n")
}

// title says what runs, since when.
func (f frame) title(width int) string {
	left := boldStyle.Render("TokenKeeper") + fmt.Sprintf("  %d credentials, tokens live for %s, operator is process %d", len(f.rows), f.lifetime, f.operator)
	right := f.now.Sub(f.started).Truncate(time.Second).String()
	gap := max(1, width-lipgloss.Width(left)-len(right))
	return ansi.Truncate(left+strings.Repeat(" ", gap)+faintStyle.Render(right), width, "…")
}

// happened are the events, each wrapped below itself.
func (f frame) happened(width int) []string {
	const indent = "         " // below the time
	var lines []string
	for _, event := range f.events {
		lines = append(lines, wrapped(event, width, "", indent)...)
	}
	return lines
}

// wrapped breaks a text between words: the first line after one indent, the others after
// another.
func wrapped(text string, width int, first, others string) []string {
	lines := strings.Split(lipgloss.Wrap(text, max(width-len(others), 20), " "), "\n")
	for i, line := range lines {
		indent := others
		if i == 0 {
			indent = first
		}
		lines[i] = ansi.Truncate(indent+line, width, "…")
	}
	return lines
}

// suggestions are what to type in another terminal.
func (f frame) suggestions(width int) []string {
	heading := boldStyle.Render("Break something, from another terminal") + faintStyle.Render("  (q or Ctrl-C ends the demo)")
	lines := []string{ansi.Truncate(heading, width, "…")}
	for _, command := range f.environment() {
		lines = append(lines, continued(command, width)...)
	}
	for _, text := range aligned(append(breaks(f.operator), looks()...), width) {
		lines = append(lines, ansi.Truncate(text, width, "…"))
	}
	return lines
}

// styled is a text in the colour of a credential's state; one that has just got a token is
// green.
func (s shown) styled(text string, now time.Time) string {
	if s.state == screen.Ready && now.Sub(s.refreshed) < freshFor {
		return screen.Good(text)
	}
	return screen.Colour(text, s.state)
}
