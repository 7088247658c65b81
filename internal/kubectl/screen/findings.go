// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"strings"
)

// finding is what a check found of one thing.
type finding struct {
	verdict Verdict
	what    string
	// says what was found, or what to do about it.
	says string
}

// Findings are what a check found, and are printed in their order.
type Findings []finding

// Add appends what was found of one thing.
func (f *Findings) Add(verdict Verdict, what, format string, arguments ...any) {
	*f = append(*f, finding{verdict, what, fmt.Sprintf(format, arguments...)})
}

// Wrong counts what must be mended.
func (f *Findings) Wrong() int {
	count := 0
	for _, each := range *f {
		if each.verdict == Wrong {
			count++
		}
	}
	return count
}

// Text is a line for each.
func (f *Findings) Text(colours bool) string {
	var b strings.Builder
	for _, each := range *f {
		fmt.Fprintf(&b, "%s %s: %s\n", each.verdict.Mark(colours), each.what, each.says)
	}
	return b.String()
}
