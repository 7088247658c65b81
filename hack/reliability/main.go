// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Reliability prints a page of docs/, reliability or security: the faults or the
// attacks of test/faults, what is promised for each, and the tests that say in
// their code that they show it. A row that no test shows is an error, and so is a
// test of a row that is on neither list. The page on reliability says as well how
// bugs were found, and which test keeps each dead: a test that does not exist is an
// error. Run it by `make reliability-docs`.
package main

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

//go:embed *.md.tmpl
var layouts embed.FS

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./hack/reliability reliability|security")
		os.Exit(2)
	}
	if err := write(os.Stdout, ".", os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write writes a page about the module in a folder.
func write(to io.Writer, root, page string) error {
	packages, err := parse(root)
	if err != nil {
		return err
	}
	shown, all := findShown(packages), findTests(packages)
	sections, threats, methods := faults.All(), faults.Attacks(), faults.Methods()
	if err := errors.Join(complete(sections, threats, shown), keptDead(methods, all)); err != nil {
		return err
	}
	layout, err := template.New(page+".md.tmpl").Funcs(template.FuncMap{
		"cell":  func(text string) string { return strings.ReplaceAll(text, "|", `\|`) },
		"tests": func(name string) string { return links(shown[name]) },
		"test":  func(name string) string { return links(all[name]) },
		"begin": func(text string) string { return strings.ToUpper(text[:1]) + text[1:] },
	}).ParseFS(layouts, page+".md.tmpl")
	if err != nil {
		return err
	}
	return layout.Execute(to, struct {
		Sections []faults.Section
		Threats  []faults.Threat
		Methods  []faults.Method
	}{sections, threats, methods})
}

// links are the tests as links to their files, seen from docs/.
func links(tests []test) string {
	var all []string
	for _, each := range tests {
		all = append(all, fmt.Sprintf("[%s](../%s)", each.name, each.file))
	}
	return strings.Join(all, ", ")
}

// keptDead checks that each bug has a test that keeps it dead.
func keptDead(methods []faults.Method, tests map[string][]test) error {
	var problems []error
	for _, method := range methods {
		for _, bug := range method.Bugs {
			switch found := tests[bug.Test]; {
			case bug.Met == "":
				problems = append(problems, fmt.Errorf("of a bug that %s keeps dead it is not said what was met", bug.Test))
			case len(found) == 0:
				problems = append(problems, fmt.Errorf("there is no test %s, which is to keep %q dead", bug.Test, bug.Met))
			case len(found) > 1:
				problems = append(problems, fmt.Errorf("%d tests are named %s, one of which is to keep %q dead: give it a name of its own", len(found), bug.Test, bug.Met))
			}
		}
	}
	return errors.Join(problems...)
}

// row is a fault or an attack.
type row struct{ name, promise, section string }

// complete checks that each row of the two lists is shown by a test, and that each
// test shows a row of one of them. A row may be on both.
func complete(sections []faults.Section, threats []faults.Threat, shown map[string][]test) error {
	var survived, withstood []row
	for _, section := range sections {
		for _, fault := range section.Faults {
			survived = append(survived, row{fault.Name, fault.Promise, section.Title})
		}
	}
	for _, threat := range threats {
		for _, attack := range threat.Attacks {
			withstood = append(withstood, row{attack.Name, attack.Promise, threat.Title})
		}
	}
	listed := map[string]bool{}
	problems := append(check(survived, shown, listed), check(withstood, shown, listed)...)
	for name, tests := range shown {
		if !listed[name] {
			problems = append(problems, fmt.Errorf("%s shows %q, which is not on the lists of test/faults", tests[0].name, name))
		}
	}
	return errors.Join(problems...)
}

// check checks one list, and notes its rows as listed.
func check(rows []row, shown map[string][]test, listed map[string]bool) (problems []error) {
	twice := map[string]bool{}
	for _, each := range rows {
		if twice[each.name] {
			problems = append(problems, fmt.Errorf("the list of test/faults has %q twice", each.name))
		}
		twice[each.name], listed[each.name] = true, true
		if each.promise == "" {
			problems = append(problems, fmt.Errorf("%q (%s) promises nothing", each.name, each.section))
		}
		if len(shown[each.name]) == 0 {
			problems = append(problems, fmt.Errorf("no test shows %q (%s)", each.name, each.section))
		}
	}
	return problems
}
