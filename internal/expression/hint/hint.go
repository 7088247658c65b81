// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package hint

import (
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/operators"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/lexical"
	"github.com/tokenkeeper/tokenkeeper/internal/spelling"
)

// Problem is what is wrong with an expression, and where in it: a line from 1 and a column
// from 0, as CEL counts them.
type Problem struct {
	Line, Column int
	Message      string
}

// Known is what an expression may name.
type Known struct {
	Variables map[string]Variable
	// Elsewhere says by name where a variable is known that is not known here.
	Elsewhere map[string]string
	Functions map[string]*decls.FunctionDecl
}

// Variable is one that an expression may name.
type Variable struct {
	// Written is its name as expressions write it.
	Written string
	// Fields that may be named.
	Fields []string
	// IsCall: it is used by a function.
	IsCall bool
	// IsRefused: it has no value here.
	IsRefused bool
}

// Syntax says why CEL could not parse an expression: by the slips that people make, else by
// the first of the parser's own words, those after which follow from it.
func Syntax(text string, inTemplate bool, issues *cel.Issues) []Problem {
	if slips := findSlips(text, inTemplate); len(slips) > 0 {
		return slips
	}
	issue := issues.Errors()[0]
	message, _, _ := strings.Cut(issue.Message, "\n")
	return []Problem{{issue.Location.Line(), issue.Location.Column(), syntaxMessage(strings.TrimSpace(text), strings.TrimPrefix(message, "Syntax error: "))}}
}

// Check says what CEL's checker found, which quotes nothing but the expression.
func (k Known) Check(text string, parsed *cel.Ast, issues *cel.Issues) []Problem {
	x := &explainer{known: k, text: text, tree: parsed.NativeRep(), nodes: map[int64]ast.Expr{}, unknown: map[int64]Problem{}, replaced: map[int64]bool{}}
	ast.PostOrderVisit(x.tree.Expr(), ast.NewExprVisitor(func(node ast.Expr) { x.nodes[node.ID()] = node }))
	for _, node := range x.nodes {
		if node.Kind() == ast.CallKind {
			x.call(node)
		}
	}
	var problems []Problem
	for _, issue := range issues.Errors() {
		if unknown, is := x.unknown[issue.ExprID]; is {
			problems = append(problems, unknown)
			continue
		}
		if x.replaced[issue.ExprID] {
			continue
		}
		message, _, _ := strings.Cut(issue.Message, "\n")
		message = x.explain(issue.ExprID, strings.ReplaceAll(message, " (in container '')", ""))
		problems = append(problems, Problem{issue.Location.Line(), issue.Location.Column(), message})
	}
	return problems
}

// explainer says in plain words what CEL's checker says in its own.
type explainer struct {
	known    Known
	text     string
	tree     *ast.AST
	nodes    map[int64]ast.Expr
	unknown  map[int64]Problem // by call, the function that there is not
	replaced map[int64]bool    // nodes whose own errors follow from that
}

// call notes a call of a function that there is not. CEL says of hmac.sha265(...) that
// neither hmac nor sha265 is known.
func (x *explainer) call(node ast.Expr) {
	call := node.AsCall()
	name := call.FunctionName()
	if x.known.Functions[name] != nil || !lexical.IsNameByte(name[0]) {
		return
	}
	place := x.tree.SourceInfo().GetStartLocation(node.ID()) // of the bracket
	line, column := place.Line(), place.Column()-len(name)
	if call.IsMemberFunction() {
		if path, root := qualifier(call.Target()); root != nil {
			if _, isVariable := x.known.Variables[root.AsIdent()]; !isVariable {
				name = path + "." + name
				place = x.tree.SourceInfo().GetStartLocation(root.ID())
				line, column = place.Line(), place.Column()
				x.replaced[root.ID()] = true
			}
		}
	}
	if x.known.Functions[name] != nil {
		return
	}
	x.unknown[node.ID()] = Problem{line, column, fmt.Sprintf("undeclared reference to '%s'%s", name, x.known.unknownFunction(name))}
}

// qualifier gives a.b as its text and the identifier that it begins with; nil: it is
// something else.
func qualifier(node ast.Expr) (path string, root ast.Expr) {
	switch node.Kind() {
	case ast.IdentKind:
		return node.AsIdent(), node
	case ast.SelectKind:
		path, root = qualifier(node.AsSelect().Operand())
		return path + "." + node.AsSelect().FieldName(), root
	}
	return "", nil
}

var (
	undeclared  = regexp.MustCompile(`^undeclared reference to '(.+)'$`)
	noSelection = regexp.MustCompile(`^type '(.+)' does not support field selection$`)
	noOverload  = regexp.MustCompile(`^found no matching overload for '(.+?)' applied to '(.*)'$`)
	wrongType   = regexp.MustCompile(`^expected type '(.+)' but found '(.+)'$`)
)

// explain says in plain words what is wrong at a node.
func (x *explainer) explain(id int64, message string) string {
	node := x.nodes[id]
	if match := undeclared.FindStringSubmatch(message); match != nil {
		behind, ahead := x.around(id, match[1])
		return message + x.known.unknownName(match[1], behind, ahead)
	}
	if match := noSelection.FindStringSubmatch(message); match != nil && node != nil && node.Kind() == ast.SelectKind {
		return x.selection(node.AsSelect(), match[1])
	}
	if match := noOverload.FindStringSubmatch(message); match != nil && node != nil && node.Kind() == ast.CallKind {
		return x.overload(node.AsCall(), match[1], match[2])
	}
	if match := wrongType.FindStringSubmatch(message); match != nil {
		if strings.HasPrefix(match[2], "optional_type") {
			return fmt.Sprintf("%s is needed here, and this may be missing: add .orValue(...)", match[1])
		}
		return fmt.Sprintf("%s is needed here, and this gives %s", match[1], match[2])
	}
	switch message {
	case "invalid duration argument":
		return "this is no duration: write one such as duration(\"90s\") or duration(\"1h30m\")"
	case "invalid timestamp argument":
		return "this is no timestamp: write one in RFC 3339, such as timestamp(\"2026-01-02T03:04:05Z\")"
	}
	return message
}

// around gives the line before and after a name.
func (x *explainer) around(id int64, name string) (behind, ahead string) {
	place := x.tree.SourceInfo().GetStartLocation(id)
	lines := strings.Split(x.text, "\n")
	if place.Line() < 1 || place.Line() > len(lines) {
		return "", ""
	}
	line := []rune(lines[place.Line()-1])
	column := min(max(place.Column(), 0), len(line))
	return string(line[:column]), strings.TrimPrefix(string(line[column:]), name)
}

// selection explains a field of what has none.
func (x *explainer) selection(selection ast.SelectExpr, kind string) string {
	what, root := qualifier(selection.Operand())
	if root == nil {
		what = "what stands before the dot"
	}
	message := fmt.Sprintf("%s is of type %s, which has no fields", what, kind)
	if foreign, is := foreignFunctions[spelling.Plain(selection.FieldName())]; is && foreign.ours == "size" || selection.FieldName() == "size" {
		return message + fmt.Sprintf(": write size(%s)", what)
	}
	return message
}

// overload explains a function or an operator over values of the wrong type.
func (x *explainer) overload(call ast.CallExpr, function, types string) string {
	kinds := strings.Split(strings.Trim(types, "()"), ", ")
	operator, isOperator := operators.FindReverse(function)
	switch {
	case function == operators.Conditional:
		return fmt.Sprintf("'condition ? this : that' takes a condition and two values of one type, not %s", types)
	case function == operators.LogicalNot:
		return fmt.Sprintf("'!' takes true or false, not %s: compare it, as in !(value == 1)", kinds[0])
	case isOperator && len(kinds) == 2:
		return fmt.Sprintf("'%s' cannot be applied to %s and %s: %s", operator, kinds[0], kinds[1], x.convert(call, operator, kinds))
	case !call.IsMemberFunction() && len(call.Args()) > 0 && x.isMember(function):
		return fmt.Sprintf("%s is called behind a dot: write text.%s(...)", function, function)
	}
	return fmt.Sprintf("%s cannot be applied to %s", function, types)
}

// convert says how the two sides of an operator are made to fit.
func (x *explainer) convert(call ast.CallExpr, operator string, kinds []string) string {
	for side, other := range []int{1, 0} {
		text, isText := lexical.Literal(call.Args()[side])
		if isText && operator != "in" && kinds[other] == "int" && isNumber(text) {
			return fmt.Sprintf("write %s without quotes", text)
		}
	}
	switch {
	case kinds[0] == "timestamp" && (operator == "+" || operator == "-"):
		return "write a duration, as in now + duration(\"300s\"), or seconds, as in int(now) + 300"
	case operator == "in":
		return "it looks into a list or a map; text.contains(part) looks into a text"
	case operator == "+":
		return "make both texts, as in string(value), or both numbers, as in int(value)"
	}
	return "make both of one type, as in string(value) or int(value)"
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// isMember reports whether a function is called behind a dot alone.
func (x *explainer) isMember(function string) bool {
	declared := x.known.Functions[function]
	if declared == nil {
		return false
	}
	for _, overload := range declared.OverloadDecls() {
		if !overload.IsMemberFunction() {
			return false
		}
	}
	return true
}
