// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package described

import (
	"regexp/syntax"
	"strings"
)

// exampleOf gives a short text that a regular expression matches, or "" for one that it
// cannot read. Of alternatives it is the first, and of repetitions the fewest.
func exampleOf(pattern string) string {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var text strings.Builder
	write(&text, parsed)
	return text.String()
}

func write(text *strings.Builder, part *syntax.Regexp) {
	switch part.Op {
	case syntax.OpLiteral:
		for _, char := range part.Rune {
			// A pattern that ignores case is parsed into capitals.
			text.WriteString(strings.ToLower(string(char)))
		}
	case syntax.OpCharClass:
		if len(part.Rune) > 0 {
			text.WriteRune(part.Rune[0])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		text.WriteByte('a')
	case syntax.OpCapture, syntax.OpPlus, syntax.OpConcat:
		for _, each := range part.Sub {
			write(text, each)
		}
	case syntax.OpAlternate:
		write(text, part.Sub[0])
	case syntax.OpRepeat:
		for range part.Min {
			write(text, part.Sub[0])
		}
	default: // it matches nothing at all, too
	}
}
