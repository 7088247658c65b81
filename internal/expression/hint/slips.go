// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package hint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/lexical"
)

// slip is a stretch of text that is no CEL, and what to write instead.
type slip struct {
	pattern *regexp.Regexp // from where one is looked for
	message string         // empty: it is CEL, and nothing that begins with it is a slip
}

// slips that people make who write another language: JavaScript, Python, SQL, jq,
// JSONPath, Go or Helm templates. Only what CEL could not parse is looked through, the
// first that matches counts.
var slips = []slip{
	{regexp.MustCompile(`^\{\{`), "'{{ }}' is another template language: write CEL alone"},
	{regexp.MustCompile(`^\$[.\[]`), "this is JSONPath: write body in place of '$', as in body.access_token"},
	{regexp.MustCompile(`^\$`), "a variable is written without '$'"},
	{regexp.MustCompile(`^===`), "write '=='"},
	{regexp.MustCompile(`^!==`), "write '!='"},
	{regexp.MustCompile(`^[!<>]==`), "one '=' too many"},
	{regexp.MustCompile(`^(==|!=|<=|>=|&&|\|\|)`), ""},
	{regexp.MustCompile(`^=>`), "there is no '=>': 'at least' is '>=', and a loop is list.map(x, x.name)"},
	{regexp.MustCompile(`^=~`), "there is no '=~': write text.matches('^a+$')"},
	{regexp.MustCompile(`^=`), "'=' is no comparison: write '=='"},
	{regexp.MustCompile(`^:=`), "an expression sets no variables"},
	{regexp.MustCompile(`^<>`), "write '!=' in place of '<>'"},
	{regexp.MustCompile(`^->`), "write '.' in place of '->'"},
	{regexp.MustCompile(`^&`), "a single '&' is no operator: write '&&'"},
	{regexp.MustCompile(`^\|`), "a single '|' is no operator: write '||'"},
	{regexp.MustCompile(`^\?\?`), "there is no '??': write body.?name.orValue(\"other\")"},
	{regexp.MustCompile(`^\?\.`), "the question mark comes behind the dot: write body.?name"},
	{regexp.MustCompile(`^\.\.`), "one dot too many"},
	{regexp.MustCompile(`^;`), "an expression has no ';': leave it out"},
	{regexp.MustCompile(`^#`), "a comment begins with '//'"},
	{regexp.MustCompile("^`"), "write a text in quotes, as in \"text\""},
	{regexp.MustCompile(`^[“”„‘’]`), "write straight quotes, ' or \""},
	{regexp.MustCompile(`^[\x{00a0}\x{2000}-\x{200f}\x{feff}]`), "a blank that is none stands here: write an ordinary one"},
}

// words that are operators elsewhere.
var words = map[string]string{
	"and": "write '&&' in place of 'and'", "or": "write '||' in place of 'or'", "not": "write '!' in place of 'not', as in !has(body.error) or !(status in [200, 201])",
	"is": "write '==' in place of 'is'", "if": "there is no 'if': write condition ? this : that", "else": "", "elif": "", "then": "",
	"between": "there is no 'between': write status >= 400 && status < 500", "like": "there is no 'like': write text.contains(\"part\") or text.matches('^a+$')",
}

// listInRoundBrackets is SQL's and Python's.
var listInRoundBrackets = regexp.MustCompile(`^in\s*\([^()]*,`)

const quoteNotClosed = "the text that begins here is not closed"

// maxSlips is how many slips of one expression are told.
const maxSlips = 3

// findSlips gives the slips of an expression that CEL cannot parse; nil: none is known.
func findSlips(text string, inTemplate bool) []Problem {
	f := &slipFinder{text: text, inTemplate: inTemplate}
	f.find()
	if len(f.found) == 0 && len(f.open) > 0 {
		opened := f.open[len(f.open)-1]
		f.add(opened, fmt.Sprintf("'%c' is not closed", text[opened]))
	}
	return f.found[:min(len(f.found), maxSlips)]
}

// OpenQuote finds a text inside of an expression that has no end; ok is false where all have
// one.
func OpenQuote(text string) (problem Problem, ok bool) {
	f := &slipFinder{text: text, inTemplate: true}
	f.find()
	for _, found := range f.found {
		if strings.HasPrefix(found.Message, quoteNotClosed) {
			return found, true
		}
	}
	return Problem{}, false
}

type slipFinder struct {
	text       string
	inTemplate bool
	found      []Problem
	open       []int // where brackets are open
}

func (f *slipFinder) add(offset int, message string) {
	line, column := lexical.Position(f.text, offset)
	if !slices.ContainsFunc(f.found, func(known Problem) bool { return known.Message == message }) {
		f.found = append(f.found, Problem{line, column - 1, message})
	}
}

func (f *slipFinder) find() {
	text := f.text
	for i := 0; i < len(text); {
		rest := text[i:]
		switch c := text[i]; {
		case c == '"' || c == '\'':
			length := lexical.Quoted(rest, lexical.IsRaw(text[:i]))
			if length < 0 {
				f.add(i, fmt.Sprintf("%s: end it with %c", quoteNotClosed, c))
				return
			}
			f.escapes(i, rest[:length], lexical.IsRaw(text[:i]))
			i += length
		case strings.HasPrefix(rest, "//"):
			if length := strings.IndexByte(rest, '\n'); length >= 0 {
				i += length
				continue
			}
			return
		case strings.HasPrefix(rest, "${"):
			f.add(i, f.dollar())
			return
		case lexical.IsNameByte(c):
			i += f.word(i)
		default:
			i += f.operator(i)
		}
	}
}

// dollar says what is wrong with ${ inside of CEL.
func (f *slipFinder) dollar() string {
	if f.inTemplate {
		return "inside of '${ }' write CEL alone, without another '${'"
	}
	return "this field is CEL: write it without `${ }`"
}

// word looks at a name or a number, and gives its length.
func (f *slipFinder) word(start int) int {
	text, end := f.text, start
	for end < len(text) && lexical.IsNameByte(text[end]) {
		end++
	}
	member := strings.HasSuffix(strings.TrimRight(text[:start], " "), ".") || strings.HasSuffix(text[:start], ".?")
	if listInRoundBrackets.MatchString(text[start:]) {
		f.add(start, "a list is written in [ ], as in status in [200, 201]")
	}
	if message := words[strings.ToLower(text[start:end])]; message != "" && !member {
		f.add(start, message)
	}
	return end - start
}

// operator looks at anything else, and gives its length.
func (f *slipFinder) operator(start int) int {
	rest := f.text[start:]
	for _, slip := range slips {
		match := slip.pattern.FindString(rest)
		if match == "" {
			continue
		}
		if slip.message != "" {
			f.add(start, slip.message)
		}
		return len(match)
	}
	switch c := rest[0]; c {
	case '(', '[', '{':
		f.open = append(f.open, start)
	case ')', ']', '}':
		if len(f.open) == 0 || strings.IndexByte("([{", f.text[f.open[len(f.open)-1]]) != strings.IndexByte(")]}", c) {
			if len(f.found) == 0 { // else it belongs to what is no CEL
				f.add(start, fmt.Sprintf("'%c' closes nothing that is open here", c))
			}
			f.open = append(f.open, start) // so that it is popped
		}
		f.open = f.open[:len(f.open)-1]
	}
	_, size := utf8.DecodeRuneInString(rest)
	return size
}

// escapes finds a backslash that begins no escape of CEL's, as people write in regular
// expressions.
func (f *slipFinder) escapes(start int, text string, raw bool) {
	for i := 0; i < len(text)-1 && !raw; i++ {
		if text[i] != '\\' {
			continue
		}
		if !strings.ContainsRune("abfnrtv\\?\"'`xXuU0123", rune(text[i+1])) {
			f.add(start+i, fmt.Sprintf(`'\%c' is no escape of a text: write '\\%c', or r before the quotes, as in r'\d+'`, text[i+1], text[i+1]))
			return
		}
		i++
	}
}

// unexpected is the token in one of the parser's own messages.
var unexpected = regexp.MustCompile(`(?:extraneous input|mismatched input|token recognition error at:|no viable alternative at input) '(.*?)'(?: expecting|$)`)

// syntaxMessage says in plain words what CEL's parser says in those of its grammar.
func syntaxMessage(text, message string) string {
	token := ""
	if match := unexpected.FindStringSubmatch(message); match != nil {
		token = strings.TrimSpace(match[1])
	}
	switch {
	case strings.HasPrefix(message, "invalid argument to has()"):
		return "has asks for a field of a map: write has(body.error), or \"a name\" in body"
	case token == "<EOF>" && strings.HasSuffix(text, "?"):
		return "a field that may be missing has its question mark behind the dot: write body.?name"
	case token == "<EOF>" && strings.HasSuffix(message, "expecting ':'"):
		return "the expression ends without ':': write condition ? this : that"
	case token == "<EOF>":
		return "the expression ends too early: something is missing at its end"
	case strings.HasSuffix(message, "expecting <EOF>"):
		return fmt.Sprintf("'%s' is not expected here: an operator is missing before it, or it is left over", token)
	case strings.HasPrefix(message, "token recognition"):
		return fmt.Sprintf("'%s' means nothing in CEL", token)
	case token != "":
		return fmt.Sprintf("'%s' is not expected here", token)
	}
	return message
}
