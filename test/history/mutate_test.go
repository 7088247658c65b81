// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// mutation takes one part out of the operator: it gives a function another body. The
// body may call the function as it was, under its name and "Original".
type mutation struct {
	name string
	why  string // it must be found
	pkg  string // in internal/
	// function, or receiver type and method.
	function string
	body     string
	// always runs with make test; the others with TEETH=all.
	always bool
}

// apply gives the file of a package in which the function is, and its mutated source.
func (m mutation) apply(directory string) (file string, mutated []byte, err error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return "", nil, err
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := filepath.Abs(filepath.Join(directory, entry.Name()))
		if err != nil {
			return "", nil, err
		}
		positions := token.NewFileSet()
		parsed, err := parser.ParseFile(positions, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return "", nil, err
		}
		if found := functionIn(parsed, m.function); found != nil {
			mutated, err := m.rewrite(positions, parsed, found)
			return file, mutated, err
		}
	}
	return "", nil, fmt.Errorf("there is no function %s in %s any more: bring the mutation up to date", m.function, m.pkg)
}

// functionIn finds a function, or Receiver.method, in a file.
func functionIn(file *ast.File, name string) *ast.FuncDecl {
	for _, declaration := range file.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok && nameOf(function) == name {
			return function
		}
	}
	return nil
}

func nameOf(function *ast.FuncDecl) string {
	if function.Recv == nil {
		return function.Name.Name
	}
	receiver := function.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	return fmt.Sprintf("%s.%s", receiver, function.Name.Name)
}

// rewrite puts the new body in place of the old one, which stays under another name.
func (m mutation) rewrite(positions *token.FileSet, file *ast.File, function *ast.FuncDecl) ([]byte, error) {
	replacement, err := parser.ParseFile(positions, m.name, "package p\nfunc _() {\n"+m.body+"\n}", parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	original := *function
	original.Name = ast.NewIdent(function.Name.Name + "Original")
	function.Body = replacement.Decls[0].(*ast.FuncDecl).Body
	file.Decls = append(file.Decls, &original)
	file.Comments = nil // they have no place any more
	dropUnused(file)
	var text bytes.Buffer
	err = format.Node(&text, positions, file)
	return text.Bytes(), err
}

// dropUnused removes the imports that the mutated file does not use.
func dropUnused(file *ast.File) {
	used := map[string]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if qualifier, ok := selector.X.(*ast.Ident); ok {
				used[qualifier.Name] = true
			}
		}
		return true
	})
	for _, declaration := range file.Decls {
		imports, ok := declaration.(*ast.GenDecl)
		if !ok || imports.Tok != token.IMPORT {
			continue
		}
		for _, each := range imports.Specs {
			spec := each.(*ast.ImportSpec)
			name, err := strconv.Unquote(spec.Path.Value)
			if name = path.Base(name); spec.Name != nil {
				name = spec.Name.Name
			}
			if err == nil && !used[name] {
				spec.Name = ast.NewIdent("_")
			}
		}
	}
}
