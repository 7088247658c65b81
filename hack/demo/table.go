// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
)

const (
	// freshFor is how long a new token is highlighted.
	freshFor = 2 * time.Second
	// barCells is how wide the bar of a token's life is.
	barCells = 10
	// leastMessage is the width below which messages get lines of their own.
	leastMessage = 28
	// mostMessage is how many lines of its own a message gets.
	mostMessage = 3
	gap         = "  "
)

// shown is a credential as it is shown.
type shown struct {
	name, ready, reason, provider string
	expires                       *metav1.Time
	life                          screen.Life
	tokens                        int64
	rotations                     int
	message                       string
	state                         screen.State
	refreshed                     time.Time
}

// shown are the credentials as they are shown.
func (b *board) shown() []shown {
	var all []shown
	for _, r := range b.ordered() {
		ready, status := condition(r.credential, v1alpha1.ReadyCondition), r.credential.Status
		telling := screen.Telling(r.credential)
		all = append(all, shown{
			name:      r.credential.Name,
			ready:     string(ready.Status),
			reason:    cmp.Or(telling.Reason, ready.Reason),
			provider:  r.credential.Spec.ProviderRef.Name,
			expires:   status.ExpirationTime,
			life:      screen.LifeOf(status),
			tokens:    status.RefreshCount,
			rotations: r.rotations,
			message:   telling.Message,
			state:     screen.StateOf(r.credential),
			refreshed: r.refreshed,
		})
	}
	return all
}

// isWell reports whether there is nothing to say of a credential.
func (s shown) isWell() bool { return s.state == screen.Ready && s.reason == v1alpha1.TokenValidReason }

// column of the table.
type column struct {
	title string
	cell  func(shown) string
}

// columns of the table, and those that go first where there is no room.
func (f frame) columns() (all []column, dispensable []string) {
	return []column{
		{"NAME", func(s shown) string { return s.name }},
		{"READY", func(s shown) string { return s.ready }},
		{"REASON", func(s shown) string { return s.reason }},
		{"PROVIDER", func(s shown) string { return s.provider }},
		{"LIFE", func(s shown) string {
			if s.life.To.IsZero() {
				return strings.Repeat("░", barCells)
			}
			return s.life.Bar(f.now, barCells, false)
		}},
		{"EXPIRES", func(s shown) string { return expiry(s.expires, f.now) }},
		{"TOKENS", func(s shown) string { return strconv.FormatInt(s.tokens, 10) }},
		{"ROTATED", func(s shown) string { return strconv.Itoa(s.rotations) }},
	}, []string{"PROVIDER", "LIFE", "ROTATED", "TOKENS"}
}

// table is the credentials as lines that fit the width. Where it is wide enough, the last
// column is what is said of each; else that stands below those that are not well.
func (f frame) table(width int) []string {
	columns, dispensable := f.columns()
	texts := f.texts(columns)
	for len(dispensable) > 0 && widest(texts) > width {
		columns = slices.DeleteFunc(columns, func(c column) bool { return c.title == dispensable[0] })
		texts, dispensable = f.texts(columns), dispensable[1:]
	}
	left := width - widest(texts) - len(gap)
	hasColumn := left >= leastMessage
	if hasColumn {
		texts[0] += gap + "MESSAGE"
	}
	lines := []string{boldStyle.Render(ansi.Truncate(texts[0], width, "…"))}
	for i, row := range f.rows {
		text := texts[i+1]
		if !hasColumn {
			text = strings.TrimRight(text, " ")
		}
		line := row.styled(ansi.Truncate(text, width, "…"), f.now)
		if hasColumn {
			line += gap + faintUnless(!row.isWell(), ansi.Truncate(row.message, left, "…"))
		}
		lines = append(lines, line)
		if (!hasColumn || lipgloss.Width(row.message) > left) && !row.isWell() {
			lines = append(lines, row.messageBelow(width, f.now)...)
		}
	}
	return lines
}

// messageBelow is what is said of a credential, where there is no room for it beside.
func (s shown) messageBelow(width int, now time.Time) []string {
	if s.message == "" {
		return nil
	}
	const indent = "    "
	lines := wrapped(s.message, width, indent, indent)
	for i, line := range lines {
		lines[i] = s.styled(line, now)
	}
	return lines[:min(len(lines), mostMessage)]
}

func faintUnless(matters bool, text string) string {
	if matters {
		return text
	}
	return faintStyle.Render(text)
}

// texts are the table's lines, the header first, padded to one width.
func (f frame) texts(columns []column) []string {
	texts := make([]string, len(f.rows)+1)
	for i, c := range columns {
		cells := []string{c.title}
		for _, row := range f.rows {
			cells = append(cells, c.cell(row))
		}
		width := widest(cells)
		for line, cell := range cells {
			if i > 0 {
				texts[line] += gap
			}
			texts[line] += cell + strings.Repeat(" ", width-lipgloss.Width(cell))
		}
	}
	return texts
}

func widest(texts []string) int {
	widest := 0
	for _, text := range texts {
		widest = max(widest, lipgloss.Width(text))
	}
	return widest
}

// summary is the board as plain lines, for the end.
func (b *board) summary(now time.Time) []string {
	f := frame{rows: b.shown(), now: now}
	columns, _ := f.columns()
	columns = slices.DeleteFunc(columns, func(c column) bool { return c.title == "LIFE" }) // nobody sees it move
	texts := f.texts(columns)
	for i := range texts {
		texts[i] = strings.TrimRight(texts[i], " ")
	}
	return texts
}

func condition(credential *v1alpha1.TokenCredential, kind string) metav1.Condition {
	if found := meta.FindStatusCondition(credential.Status.Conditions, kind); found != nil {
		return *found
	}
	return metav1.Condition{Status: metav1.ConditionUnknown, Reason: "-"}
}

// expiry is a time as a person reads it while it comes closer.
func expiry(at *metav1.Time, now time.Time) string {
	if at == nil {
		return "-"
	}
	switch left := at.Sub(now).Truncate(time.Second); {
	case left < 0:
		return fmt.Sprintf("%s ago", -left)
	case left >= 10*time.Minute:
		return fmt.Sprintf("in %dm", int(left.Minutes()))
	default:
		return fmt.Sprintf("in %s", left)
	}
}
