// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// test is a top-level test function and the file that it is in.
type test struct{ name, file string }

// findShown finds, for each fault, the tests that show it. A test shows what it,
// or anything of its package that it names directly or through others, names in
// a call of faults.Shows or in a field `shows` of a table.
func findShown(packages map[string]declarations) map[string][]test {
	shown := map[string][]test{}
	for _, declarations := range packages {
		for _, declared := range declarations {
			if !declared.isTest() {
				continue
			}
			for _, fault := range declarations.shownFrom(declared.name) {
				shown[fault] = append(shown[fault], test{declared.name, declared.file})
			}
		}
	}
	for _, tests := range shown {
		slices.SortFunc(tests, func(a, b test) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.name, b.name)) })
	}
	return shown
}

// findTests finds all tests, by their names.
func findTests(packages map[string]declarations) map[string][]test {
	tests := map[string][]test{}
	for _, declarations := range packages {
		for _, declared := range declarations {
			if declared.isTest() {
				tests[declared.name] = append(tests[declared.name], test{declared.name, declared.file})
			}
		}
	}
	return tests
}

// declaration is what a package declares at its top: a function, a method, a
// variable or a type.
type declaration struct {
	name, file string
	names      map[string]bool // identifiers in it
	faults     []string        // that it says are shown
}

func (d *declaration) isTest() bool {
	return strings.HasPrefix(d.name, "Test") && d.name != "TestMain" || strings.HasPrefix(d.name, "Fuzz")
}

// declarations of a package's test files, by name. Methods of one name, whatever
// their type, count as one: what is reached too much is a link too many.
type declarations map[string]*declaration

// shownFrom are the faults that a test shows.
func (all declarations) shownFrom(name string) []string {
	found, seen := map[string]bool{}, map[string]bool{}
	var walk func(string)
	walk = func(name string) {
		declared := all[name]
		if declared == nil || seen[name] {
			return
		}
		seen[name] = true
		for _, fault := range declared.faults {
			found[fault] = true
		}
		for other := range declared.names {
			walk(other)
		}
	}
	walk(name)
	return slices.Sorted(maps.Keys(found))
}

// parse reads all test files of a module, by package.
func parse(root string) (map[string]declarations, error) {
	packages := map[string]declarations{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin" || entry.Name() == "tools"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		key := filepath.Dir(relative) + " " + file.Name.Name
		if packages[key] == nil {
			packages[key] = declarations{}
		}
		return packages[key].add(filepath.ToSlash(relative), file)
	})
	return packages, err
}

func (all declarations) add(path string, file *ast.File) error {
	for _, node := range file.Decls {
		switch node := node.(type) {
		case *ast.FuncDecl:
			if err := all.take(path, node.Name.Name, node); err != nil {
				return err
			}
		case *ast.GenDecl:
			for _, spec := range node.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for _, name := range value.Names {
					if err := all.take(path, name.Name, value); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// take notes what a declaration names and shows.
func (all declarations) take(path, name string, node ast.Node) (err error) {
	declared := all[name]
	if declared == nil {
		declared = &declaration{name: name, file: path, names: map[string]bool{}}
		all[name] = declared
	}
	ast.Inspect(node, func(node ast.Node) bool {
		var found []string
		var problem error
		switch node := node.(type) {
		case *ast.Ident:
			declared.names[node.Name] = true
		case *ast.CallExpr:
			found, problem = shownByCall(node)
		case *ast.KeyValueExpr:
			found, problem = shownByField(node)
		}
		if problem != nil && err == nil {
			err = fmt.Errorf("%s: %s: %w", path, name, problem)
		}
		declared.faults = append(declared.faults, found...)
		return true
	})
	return err
}

// shownByCall reads a call of faults.Shows. One that is not given a literal is
// made for each row of a table, which names its faults in the field `shows`.
func shownByCall(call *ast.CallExpr) ([]string, error) {
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || function.Sel.Name != "Shows" || len(call.Args) != 2 {
		return nil, nil
	}
	if of, ok := function.X.(*ast.Ident); !ok || of.Name != "faults" {
		return nil, nil
	}
	if _, ok := call.Args[1].(*ast.BasicLit); !ok {
		return nil, nil
	}
	return literals(call.Args[1])
}

// shownByField reads a field `shows` of a composite literal.
func shownByField(field *ast.KeyValueExpr) ([]string, error) {
	if key, ok := field.Key.(*ast.Ident); !ok || key.Name != "shows" {
		return nil, nil
	}
	return literals(field.Value)
}

// literals reads a string, or a list of strings.
func literals(node ast.Expr) ([]string, error) {
	switch node := node.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(node.Value)
		return []string{text}, err
	case *ast.CompositeLit:
		var all []string
		for _, element := range node.Elts {
			some, err := literals(element)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		return all, nil
	}
	return nil, fmt.Errorf("what is shown must be a literal, so that it can be found")
}
