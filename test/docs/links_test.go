// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs tests what documentation says: that its links lead somewhere, that the
// commands in it exist, that every reason of the API is explained, and that samples are
// what their readers take.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const root = "../.."

// pages are the Markdown files of the repository, by path from its root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if entry.IsDir() && (name == "bin" || name == ".git" || entry.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			text, err := os.ReadFile(path)
			all[name] = string(text)
			return err
		}
		return nil
	})
	if err != nil || len(all) < 20 {
		t.Fatalf("%d pages are found (%v)", len(all), err)
	}
	return all
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?)\s*#*$`)
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	inline  = regexp.MustCompile("`[^`\n]*`")
)

// anchors of a page, as GitHub makes them.
func anchors(page string) []string {
	var all []string
	for _, match := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(match[1], "$1"))
		for base, n := anchor, 1; slices.Contains(all, anchor); n++ {
			anchor = fmt.Sprintf("%s-%d", base, n)
		}
		all = append(all, anchor)
	}
	for _, match := range regexp.MustCompile(`<a (?:id|name)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		all = append(all, match[1])
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := pages(t)
	links := 0
	for name, page := range all {
		if strings.HasSuffix(name, "0000-template.md") {
			continue // its links are to be filled in
		}
		prose := inline.ReplaceAllString(fenced.ReplaceAllString(page, ""), "``")
		for _, match := range link.FindAllStringSubmatch(prose, -1) {
			links++
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue // others' pages are not asked by a test
			}
			file := name
			if target != "" {
				file = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, match[1])
				continue
			}
			if anchor != "" && filepath.Ext(file) == ".md" && !slices.Contains(anchors(all[file]), anchor) {
				t.Errorf("%s links to %s, where no heading is", name, match[1])
			}
		}
	}
	if links < 100 {
		t.Errorf("%d links are found, want those of all pages", links)
	}
}

func TestMakeTargetsExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	// In code, `make` is followed by targets, variables and comments.
	command := regexp.MustCompile("(?m)(?:^|[`;(]|&& ) *make((?: +[A-Za-z0-9_=./:'\"*-]+)+)")
	found := 0
	for name, page := range pages(t) {
		for _, code := range append(fenced.FindAllString(page, -1), inline.FindAllString(page, -1)...) {
			for _, match := range command.FindAllStringSubmatch(code, -1) {
				for _, word := range strings.Fields(match[1]) {
					if strings.Contains(word, "=") || !regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`).MatchString(word) {
						continue
					}
					found++
					if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(word) + `:`).Match(makefile) {
						t.Errorf("%s says `make %s`, and there is no such target", name, word)
					}
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("%d targets are named, want those of all pages", found)
	}
}

// TestEveryReasonIsExplained looks for each reason of the API in the user guide, and for
// an entry of its own among those of troubleshooting.
func TestEveryReasonIsExplained(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join(root, "api/v1alpha1/conditions.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := pages(t)
	guide, troubles := all[filepath.Join("docs", "user-guide.md")], all[filepath.Join("docs", "troubleshooting.md")]
	reasons := regexp.MustCompile(`Reason += "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(reasons) < 20 {
		t.Fatalf("%d reasons are found", len(reasons))
	}
	for _, reason := range reasons {
		if !regexp.MustCompile(`(?m)^### (.*, )?` + reason[1] + `(,.*)?$`).MatchString(troubles) {
			t.Errorf("docs/troubleshooting.md has no entry for the reason %s", reason[1])
		}
		if slices.Contains([]string{"Compiled", "LikelyMistake"}, reason[1]) { // a ClusterTokenProvider's
			continue
		}
		if !regexp.MustCompile("(?m)^\\|.*`" + reason[1] + "`").MatchString(guide) {
			t.Errorf("docs/user-guide.md has no row about the reason %s", reason[1])
		}
	}
}

// TestThePluginsCommandsExist holds docs to the commands that there are.
func TestThePluginsCommandsExist(t *testing.T) {
	t.Parallel()
	all := pages(t)
	command := regexp.MustCompile(`kubectl tokencredential ([a-z]+)`)
	for name, page := range all {
		for _, match := range command.FindAllStringSubmatch(page, -1) {
			if _, ok := all[filepath.Join("docs", "cli", "kubectl_tokencredential_"+match[1]+".md")]; !ok && match[1] != "completion" {
				t.Errorf("%s says %q, and there is no such command", name, match[0])
			}
		}
	}
}
