// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// guide is a page of the documentation whose commands and manifests a test follows as they
// stand there.
type guide struct {
	t          *testing.T
	name, text string
	blocks     []*block
}

// block is what a page has between ```language and ```.
type block struct {
	language, text string
	used           bool
}

var fenced = regexp.MustCompile("(?ms)^ *```(sh|yaml|console)\n(.*?)^ *```")

func openPage(t *testing.T, name string) *guide {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, name))
	must(t, err)
	p := &guide{t: t, name: name, text: string(text)}
	for _, found := range fenced.FindAllStringSubmatch(p.text, -1) {
		p.blocks = append(p.blocks, &block{language: found[1], text: found[2]})
	}
	return p
}

// block is the one of a language that has some text, which a reader would know it by.
func (p *guide) block(language, has string) string {
	p.t.Helper()
	var found *block
	for _, each := range p.blocks {
		if each.language == language && strings.Contains(each.text, has) {
			if found != nil {
				p.t.Fatalf("%s has two blocks of %s with %q", p.name, language, has)
			}
			found = each
		}
	}
	if found == nil {
		p.t.Fatalf("%s has no block of %s with %q: has the page changed, and not this test?", p.name, language, has)
	}
	found.used = true
	return found.text
}

// inline is a command that stands in a sentence.
func (p *guide) inline(command string) string {
	p.t.Helper()
	if !strings.Contains(p.text, "`"+command+"`") {
		p.t.Fatalf("%s does not say `%s`: has the page changed, and not this test?", p.name, command)
	}
	return command
}

// filledIn is a block of YAML in which a reader has put their own values.
func (p *guide) filledIn(has string, values ...string) string {
	p.t.Helper()
	text := p.block("yaml", has)
	for i := 0; i < len(values); i += 2 {
		if !strings.Contains(text, values[i]) {
			p.t.Fatalf("%s has no %q to put another value in its place:\n%s", p.name, values[i], text)
		}
		text = strings.ReplaceAll(text, values[i], values[i+1])
	}
	return text
}

// wasFollowed fails where the page has something that the test has left out.
func (p *guide) wasFollowed() {
	p.t.Helper()
	for _, each := range p.blocks {
		if !each.used {
			p.t.Errorf("%s has this, and the test does not:\n%s", p.name, each.text)
		}
	}
}

// alternatives are the commands that a block names beside its own, each as a comment:
// # or: COMMAND.
func alternatives(text string) []string {
	found := []string{}
	for _, each := range regexp.MustCompile(`(?m)# or: (kubectl .*)$`).FindAllStringSubmatch(text, -1) {
		found = append(found, each[1])
	}
	return found
}

// isPrintedAs checks that a table is the one that a page shows, but for times and ages.
func isPrintedAs(t *testing.T, printed, shown string) {
	t.Helper()
	got, want := cells(printed), cells(shown)
	if len(got) != len(want) {
		t.Fatalf("printed are\n%s\nthe page shows\n%s", printed, shown)
	}
	for i, row := range want {
		for column, cell := range row {
			if kind := kindOf(cell); kind != kindOf(got[i][column]) || kind == "" && cell != got[i][column] {
				t.Errorf("under %s is %q, the page shows %q. Printed are\n%s", column, got[i][column], cell, printed)
			}
		}
		if len(got[i]) != len(row) {
			t.Errorf("the columns are not those of the page:\n%s", printed)
		}
	}
}

// cells are the rows of a table that kubectl prints, by the heading of their column.
func cells(table string) []map[string]string {
	lines := strings.Split(strings.TrimRight(table, "\n"), "\n")
	rows, headings := []map[string]string{}, regexp.MustCompile(`\S+( \S+)*`).FindAllStringIndex(lines[0], -1)
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, heading := range headings {
			to := len(line)
			if i+1 < len(headings) {
				to = min(to, headings[i+1][0])
			}
			row[lines[0][heading[0]:heading[1]]] = strings.TrimSpace(line[min(heading[0], to):to])
		}
		rows = append(rows, row)
	}
	return rows
}

// kindOf a cell is "time" or "age", which differ from run to run, or "".
func kindOf(cell string) string {
	if _, err := time.Parse(time.RFC3339, cell); err == nil {
		return "time"
	}
	if _, err := time.ParseDuration(cell); err == nil {
		return "age"
	}
	return ""
}
