// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Reliability prints a page of docs/, reliability or security: the faults or the
// attacks of test/faults, what is promised for each, and the tests that say in
// their code that they show it. A row that no test shows is an error, and so is a
// test of a row that is on neither list. Run it by `make reliability-docs`.
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
	shown, err := findShown(root)
	if err != nil {
		return err
	}
	sections, threats := faults.All(), faults.Attacks()
	if err := complete(sections, threats, shown); err != nil {
		return err
	}
	layout, err := template.New(page+".md.tmpl").Funcs(template.FuncMap{
		"cell":  func(text string) string { return strings.ReplaceAll(text, "|", `\|`) },
		"tests": func(name string) string { return links(shown[name]) },
	}).ParseFS(layouts, page+".md.tmpl")
	if err != nil {
		return err
	}
	return layout.Execute(to, struct {
		Sections []faults.Section
		Threats  []faults.Threat
	}{sections, threats})
}

// links are the tests as links to their files, seen from docs/.
func links(tests []test) string {
	var all []string
	for _, each := range tests {
		all = append(all, fmt.Sprintf("[%s](../%s)", each.name, each.file))
	}
	return strings.Join(all, ", ")
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
