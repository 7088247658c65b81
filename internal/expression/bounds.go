// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"

	"cel.dev/cel-go/common/ast"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/lexical"
	"github.com/tokenkeeper/tokenkeeper/internal/expression/values"
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

	// maxNesting is how deep lists, maps, loops and optional.of may be nested. The time
	// and memory that CEL's checker takes grow with the third power of it: 240 pairs of
	// brackets took it a gigabyte.
	maxNesting = 10

	// maxRecursion is how deep CEL's parser goes, for 100 operators in a row.
	maxRecursion = 100

	// maxLoops is how many loops (all, exists, map, filter, optMap) an expression may
	// have, and maxLoopUses how often it may name their variables. Each use in a list
	// may double what the next loop sees, at no cost that CEL counts: these make it
	// grow 256 times at most.
	maxLoops    = 4
	maxLoopUses = 16

	// maxPatterns is how many regular expressions an expression may hold, maxPattern
	// the size of one in bytes, and maxSteps about how many instructions it may compile
	// to, with what is repeated written out. The largest of a built-in provider has
	// some four hundred of each.
	maxPatterns = 4
	maxPattern  = 1 << 10
	maxSteps    = 2_000

	// maxMatch bounds one match: the bytes of its text times the instructions of its
	// pattern. RE2 takes time in proportion, some 10 ns for each.
	maxMatch = 4 << 20

	// maxSearch bounds one indexOf: the bytes of the text times those of what is looked
	// for, which is what the simple search of cel-go may take.
	maxSearch = 16 << 20

	// MaxResult is the size of the largest text that a call, an expression or a
	// template may give, in bytes: what fits into a Secret, encoded, with room beside
	// it.
	MaxResult = values.MaxResult
)

// checkSize refuses an expression that is too long to be parsed.
func checkSize(source source) error {
	if len(source.text) > MaxExpression {
		return source.at(1, 0, fmt.Sprintf("the expression has %d bytes, of at most %d: make it shorter", len(source.text), MaxExpression))
	}
	return nil
}

// checkNesting refuses an expression that is nested too deep to be checked.
func checkNesting(source source, tree ast.Expr) error {
	if depth := nesting(tree); depth > maxNesting {
		return source.at(1, 0, fmt.Sprintf("nests lists, maps, loops and optional.of %d deep, of at most %d: take it apart", depth, maxNesting))
	}
	return nil
}

// nesting is how deep the types are that the parts of an expression may have.
func nesting(node ast.Expr) int {
	deepest, own := 0, 0
	see := func(parts ...ast.Expr) {
		for _, part := range parts {
			deepest = max(deepest, nesting(part))
		}
	}
	switch node.Kind() {
	case ast.ListKind:
		own = 1
		see(node.AsList().Elements()...)
	case ast.MapKind:
		own = 1
		for _, entry := range node.AsMap().Entries() {
			see(entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		own = 1
		loop := node.AsComprehension()
		see(loop.IterRange(), loop.AccuInit(), loop.LoopCondition(), loop.LoopStep(), loop.Result())
	case ast.CallKind:
		call := node.AsCall()
		if call.IsMemberFunction() {
			see(call.Target())
		}
		see(call.Args()...)
		if strings.HasPrefix(call.FunctionName(), "optional") || call.IsMemberFunction() && strings.HasPrefix(call.FunctionName(), "of") {
			own = 1
		}
	case ast.SelectKind:
		see(node.AsSelect().Operand())
	case ast.StructKind:
		for _, field := range node.AsStruct().Fields() {
			see(field.AsStructField().Value())
		}
	}
	return deepest + own
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

// pattern counts a regular expression, and refuses one that is not written out, that is
// none, or that is too large: before it is compiled.
func (f *usesFinder) pattern(node ast.Expr) {
	call := node.AsCall()
	arguments := call.Args()
	if call.FunctionName() != matchesFunction || len(arguments) == 0 {
		return
	}
	f.patterns++
	pattern, isText := lexical.Literal(arguments[len(arguments)-1])
	if !isText {
		f.problem(node, "the regular expression of matches must be written out, as in matches('^a+$')")
		return
	}
	steps, err := stepsOf(pattern)
	if err != nil {
		f.problem(node, err.Error())
	}
	f.steps += steps
}

// stepsOf is about how many instructions a regular expression compiles to. It does not
// compile it: a few characters may stand for millions.
func stepsOf(pattern string) (int, error) {
	if len(pattern) > maxPattern {
		return 0, fmt.Errorf("the regular expression has %d bytes, of at most %d", len(pattern), maxPattern)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, errors.New("it is not a regular expression (RE2)")
	}
	steps := countSteps(parsed)
	if steps > maxSteps {
		return 0, fmt.Errorf("the regular expression takes %d steps, of at most %d: repeat less in it", steps, maxSteps)
	}
	return steps, nil
}

// countSteps counts the parts of a regular expression, those that are repeated as often
// as they may be.
func countSteps(parsed *syntax.Regexp) int {
	steps := 1 + len(parsed.Rune)
	if parsed.Op == syntax.OpCharClass {
		steps = 1 // one instruction, whatever is in it
	}
	for _, part := range parsed.Sub {
		steps += countSteps(part)
	}
	if parsed.Op == syntax.OpRepeat {
		steps *= max(parsed.Min+1, parsed.Max) // without a maximum, it is -1
	}
	return steps
}

const matchesFunction = "matches"

// weight is about what the compiled expression takes in memory, in bytes.
func (f *usesFinder) weight() int {
	const fixed, perNode, perStep = 9 << 10, 1 << 10, 128 // by measurement, rounded up
	return fixed + perNode*f.nodes + perStep*f.steps
}
