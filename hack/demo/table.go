// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// freshFor is how long a new token is highlighted.
const freshFor = 2 * time.Second

// Colours of a terminal.
const (
	plain  = ""
	bold   = "\x1b[1m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// line of the table, with the colour that it should have.
type line struct {
	text   string
	colour string
}

// The columns; where the terminal is too narrow for all, the provider's goes.
var header = []string{"NAME", "READY", "REASON", "PROVIDER", "EXPIRES", "TOKENS", "ROTATED"}

const providerColumn = 3

// table is the board as aligned lines, with the header.
func (b *board) table(now time.Time, width int) []line {
	cells := [][]string{header}
	colours := []string{bold}
	for _, r := range b.ordered() {
		ready := condition(r.credential, v1alpha1.ReadyCondition)
		cells = append(cells, []string{
			r.credential.Name,
			string(ready.Status),
			ready.Reason,
			r.credential.Spec.ProviderRef.Name,
			expiry(r.credential.Status.ExpirationTime, now),
			strconv.FormatInt(r.credential.Status.RefreshCount, 10),
			strconv.Itoa(r.rotations),
		})
		switch {
		case ready.Status != metav1.ConditionTrue:
			colours = append(colours, yellow)
		case now.Sub(r.refreshed) < freshFor:
			colours = append(colours, green)
		default:
			colours = append(colours, plain)
		}
	}
	lines := make([]line, 0, len(cells))
	texts := align(cells)
	if longest(texts) > width {
		for i := range cells {
			cells[i] = slices.Concat(cells[i][:providerColumn], cells[i][providerColumn+1:])
		}
		texts = align(cells)
	}
	for i, text := range texts {
		lines = append(lines, line{text, colours[i]})
	}
	return lines
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

func longest(texts []string) int {
	longest := 0
	for _, text := range texts {
		longest = max(longest, len(text))
	}
	return longest
}

// align pads the cells of each column to the same width.
func align(rows [][]string) []string {
	widths := make([]int, len(rows[0]))
	for _, cells := range rows {
		for column, cell := range cells {
			widths[column] = max(widths[column], len(cell))
		}
	}
	texts := make([]string, 0, len(rows))
	for _, cells := range rows {
		var text strings.Builder
		for column, cell := range cells {
			fmt.Fprintf(&text, "%-*s", widths[column]+2, cell)
		}
		texts = append(texts, strings.TrimRight(text.String(), " "))
	}
	return texts
}
