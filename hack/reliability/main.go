// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Reliability prints docs/reliability.md: the faults of test/faults, what is
// promised for each, and the tests that say in their code that they show it. A
// fault that no test shows is an error, and so is a test of a fault that is not
// on the list. Run it by `make reliability-docs`.
package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

//go:embed page.md.tmpl
var page string

func main() {
	if err := write(os.Stdout, "."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write writes the page about the module in a folder.
func write(to io.Writer, root string) error {
	shown, err := findShown(root)
	if err != nil {
		return err
	}
	sections := faults.All()
	if err := complete(sections, shown); err != nil {
		return err
	}
	layout, err := template.New("page").Funcs(template.FuncMap{
		"cell":  func(text string) string { return strings.ReplaceAll(text, "|", `\|`) },
		"tests": func(name string) string { return links(shown[name]) },
	}).Parse(page)
	if err != nil {
		return err
	}
	return layout.Execute(to, sections)
}

// complete checks that each fault is shown by a test, and that each test shows a
// fault of the list.
func complete(sections []faults.Section, shown map[string][]test) error {
	var problems []error
	listed := map[string]bool{}
	for _, section := range sections {
		for _, fault := range section.Faults {
			if listed[fault.Name] {
				problems = append(problems, fmt.Errorf("the list of test/faults has %q twice", fault.Name))
			}
			listed[fault.Name] = true
			if len(shown[fault.Name]) == 0 {
				problems = append(problems, fmt.Errorf("no test shows %q (%s)", fault.Name, section.Title))
			}
		}
	}
	for name, tests := range shown {
		if !listed[name] {
			problems = append(problems, fmt.Errorf("%s shows %q, which is not on the list of test/faults", tests[0].name, name))
		}
	}
	return errors.Join(problems...)
}

// links are the tests as links to their files, seen from docs/.
func links(tests []test) string {
	var all []string
	for _, each := range tests {
		all = append(all, fmt.Sprintf("[%s](../%s)", each.name, each.file))
	}
	return strings.Join(all, ", ")
}
