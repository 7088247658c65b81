// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/ast"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// Whoever may write an expression must not be able to fill the memory of a process
// that works for others, nor to keep its processors busy. Cost, which CEL counts as it
// goes, is not enough: a call is counted after it has run, and what compiles stays in
// memory. So there are bounds on what is written, on what it compiles to, and on what
// one call may make.
const (
	// MaxExpression is the size of the largest expression, in bytes: as in the API's
	// schema, and several times the longest of a built-in provider.
	MaxExpression = 4 << 10

	// MaxTemplate is the size of the largest text with ${...}, in bytes. It is room for
	// a configuration file of a page or two with tokens in it.
	MaxTemplate = 8 << 10

	// maxExpressions is how many expressions one text may hold. Each takes some
	// kibibytes once compiled, however short it is.
	maxExpressions = 64

	// maxNodes is how many nodes the syntax tree of an expression may have, macros
	// expanded: a node takes about a kibibyte once compiled. The largest of a built-in
	// provider has fewer than a hundred.
	maxNodes = 1_000

	// maxLoops is how many loops (all, exists, map, filter, optMap) an expression may
	// have, and maxLoopUses how often it may name their variables. Each use in a list
	// may double what the next loop sees, at no cost that CEL counts: these make it
	// grow 256 times at most.
	maxLoops    = 4
	maxLoopUses = 16

	// maxPatterns is how many regular expressions an expression may hold, and
	// maxPatternSize how many instructions one may compile to; the largest of a
	// built-in provider has about a thousand.
	maxPatterns    = 4
	maxPatternSize = 2_000

	// maxMatch bounds one match: the bytes of its text times the instructions of its
	// pattern. RE2 takes time in proportion, some 10 ns for each.
	maxMatch = 4 << 20

	// maxSearch bounds one indexOf: the bytes of the text times those of what is looked
	// for, which is what the simple search of cel-go may take.
	maxSearch = 16 << 20

	// MaxResult is the size of the largest text that a call, an expression or a
	// template may give, in bytes: what fits into a Secret, encoded, with room beside
	// it.
	MaxResult = 512 << 10

	// maxElements is how many elements a value may have that leaves an expression, at
	// all depths: twice what a reply may hold.
	maxElements = 2 * jsontext.MaxValues
)

// checkSize refuses an expression that is too long to be parsed.
func checkSize(source source) error {
	if len(source.text) > MaxExpression {
		return source.at(1, 0, fmt.Sprintf("the expression has %d bytes, of at most %d: make it shorter", len(source.text), MaxExpression))
	}
	return nil
}

// checkShape refuses an expression whose loops and patterns may cost more than is
// counted.
func (f *usesFinder) checkShape() error {
	at := f.expression.source.at
	switch {
	case f.loops > maxLoops:
		return at(1, 0, fmt.Sprintf("has %d loops, of at most %d (all, exists, map, filter, optMap): use fewer", f.loops, maxLoops))
	case f.loopUses > maxLoopUses:
		return at(1, 0, fmt.Sprintf("names the variables of its loops %d times, of at most %d: use them less often", f.loopUses, maxLoopUses))
	case f.patterns > maxPatterns:
		return at(1, 0, fmt.Sprintf("has %d regular expressions, of at most %d: join them with '|'", f.patterns, maxPatterns))
	}
	return nil
}

// loop counts a loop, unless it is one that CEL made for a macro of its own.
func (f *usesFinder) loop(node ast.ComprehensionExpr) {
	for _, name := range []string{node.IterVar(), node.AccuVar()} {
		if !isGenerated(name) {
			f.loops++
			return
		}
	}
}

// isGenerated reports whether a name is one that no expression can write.
func isGenerated(name string) bool {
	return strings.HasPrefix(name, "@") || strings.HasPrefix(name, "#")
}

// pattern counts a regular expression, and refuses one that is not written out: what
// it costs would be known only after it was compiled.
func (f *usesFinder) pattern(node ast.Expr) {
	call := node.AsCall()
	arguments := call.Args()
	if call.FunctionName() != matchesFunction || len(arguments) == 0 {
		return
	}
	f.patterns++
	if _, isText := literal(arguments[len(arguments)-1]); isText {
		return
	}
	location := f.expression.tree.SourceInfo().GetStartLocation(node.ID())
	f.problems = append(f.problems, f.expression.source.at(location.Line(), location.Column(),
		"the regular expression of matches must be written out, as in matches('^a+$')"))
}

const matchesFunction = "matches"

// weight is about what the compiled expression takes in memory, in bytes.
func (f *usesFinder) weight() int {
	const fixed, perNode = 6 << 10, 1 << 10 // by measurement, rounded up
	return fixed + perNode*f.nodes
}
