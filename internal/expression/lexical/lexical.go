// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package lexical

import (
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// Position gives the line and column, both from 1, of a byte of a text.
func Position(text string, offset int) (line, column int) {
	before := text[:offset]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

// Closing gives the length of the expression at the start of a text, up to the
// brace that closes it, or -1. Braces may nest, and count for nothing inside
// strings and comments.
func Closing(text string) int {
	depth := 0
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"' || c == '\'':
			length := Quoted(text[i:], IsRaw(text[:i]))
			if length < 0 {
				return -1
			}
			i += length
			continue
		case strings.HasPrefix(text[i:], "//"):
			length := strings.IndexByte(text[i:], '\n')
			if length < 0 {
				return -1
			}
			i += length
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i
		case c == '}':
			depth--
		}
		i++
	}
	return -1
}

// IsRaw tells whether a string that begins after this text is raw: r"", R”,
// br"" and the like.
func IsRaw(before string) bool {
	prefix := before[len(strings.TrimRight(before, "rRbB")):]
	rest := strings.TrimSuffix(before, prefix)
	if rest != "" && IsNameByte(rest[len(rest)-1]) {
		return false
	}
	return len(prefix) <= 2 && strings.ContainsAny(prefix, "rR")
}

// IsNameByte reports whether a byte may stand in a name.
func IsNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// Quoted gives the length of the string literal at the start of a text, or -1.
func Quoted(text string, raw bool) int {
	quote := text[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text, triple) {
		quote = triple
	}
	for i := len(quote); i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], quote):
			return i + len(quote)
		case text[i] == '\\' && !raw:
			i++
		}
	}
	return -1
}

// Literal gives the text that a node of a syntax tree is, where it is a string literal.
func Literal(node ast.Expr) (string, bool) {
	if node.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := node.AsLiteral().(types.String)
	return string(text), ok
}
