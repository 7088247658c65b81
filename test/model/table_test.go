// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package model has the model of the rotation protocol, in Promela. What is tested here is
// that the table of its steps names code and steps that are there: one that was renamed or
// taken out must be looked at in the other, too.
package model

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	quoted = regexp.MustCompile("`([^`]+)`")
	name   = regexp.MustCompile(`^[A-Za-z]\w*(\.[A-Za-z]\w*)*$`)
)

func TestTheTableNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	model, err := os.ReadFile("rotation.pml")
	if err != nil {
		t.Fatal(err)
	}
	declared := declaredIn(t, filepath.Join("..", "..", "internal"))
	_, table, _ := strings.Cut(string(page), "| step of the model | code |")
	table, _, _ = strings.Cut(table, "\n\n")
	looked := 0
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		if len(cells) != 4 || strings.HasPrefix(cells[1], "---") {
			continue
		}
		for _, step := range namesIn(cells[1]) {
			if !regexp.MustCompile(`\b` + regexp.QuoteMeta(step) + `\b`).Match(model) {
				t.Errorf("the model has no %s; in the row %s", step, row)
			}
		}
		for _, code := range namesIn(cells[2]) {
			looked++
			if !declared[code] && !regexp.MustCompile(`\b`+regexp.QuoteMeta(code)+`\b`).Match(model) {
				t.Errorf("internal/ declares no %s; in the row %s", code, row)
			}
		}
	}
	if looked < 40 {
		t.Errorf("the table names %d functions and types: it was not read", looked)
	}
}

// namesIn are the names between back quotes.
func namesIn(cell string) []string {
	var names []string
	for _, match := range quoted.FindAllStringSubmatch(cell, -1) {
		if name.MatchString(match[1]) {
			names = append(names, match[1])
		}
	}
	return names
}

// declaredIn are the names that Go code declares: alone, behind their package's, and behind
// their type's with and without that.
func declaredIn(t *testing.T, root string) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for each := range namesOf(file) {
			declared[each], declared[file.Name.Name+"."+each] = true, true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return declared
}

func namesOf(file *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, declaration := range file.Decls {
		switch declaration := declaration.(type) {
		case *ast.FuncDecl:
			names[receiverOf(declaration)+declaration.Name.Name] = true
		case *ast.GenDecl:
			for _, spec := range declaration.Specs {
				addSpec(names, spec)
			}
		}
	}
	return names
}

func addSpec(names map[string]bool, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		names[spec.Name.Name] = true
		if structure, ok := spec.Type.(*ast.StructType); ok {
			for _, field := range structure.Fields.List {
				for _, each := range field.Names {
					names[spec.Name.Name+"."+each.Name] = true
				}
			}
		}
	case *ast.ValueSpec:
		for _, each := range spec.Names {
			names[each.Name] = true
		}
	}
}

// receiverOf is a method's type and a dot; empty: it is a function.
func receiverOf(function *ast.FuncDecl) string {
	if function.Recv == nil {
		return ""
	}
	kind := function.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if identifier, ok := kind.(*ast.Ident); ok {
		return identifier.Name + "."
	}
	return ""
}
