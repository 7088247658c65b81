// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"fmt"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
)

// finding is what a check found of one thing.
type finding struct {
	verdict screen.Verdict
	what    string
	// says what was found, or what to do about it.
	says string
}

// findings are printed as they are in order.
type findings []finding

func (f *findings) add(verdict screen.Verdict, what, format string, arguments ...any) {
	*f = append(*f, finding{verdict, what, fmt.Sprintf(format, arguments...)})
}

// wrong counts what must be mended.
func (f *findings) wrong() int {
	count := 0
	for _, each := range *f {
		if each.verdict == screen.Wrong {
			count++
		}
	}
	return count
}

func (f *findings) text(colours bool) string {
	var b strings.Builder
	for _, each := range *f {
		fmt.Fprintf(&b, "%s %s: %s\n", each.verdict.Mark(colours), each.what, each.says)
	}
	return b.String()
}
