// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// unreleased begins the heading of what comes next; it may name the version that this will
// be: "## Unreleased: v0.1.0".
const unreleased = "Unreleased"

// notes are what the changelog says of a version. A pre-release, such as v0.1.0-rc.1, may
// have the section of its release. A final release is no longer called Unreleased.
func notes(changelog, version string, isFinal bool) (string, error) {
	names := []string{version, strings.TrimSuffix(version, semver.Prerelease(version))}
	headings := []string{}
	for _, name := range names {
		for section := range strings.SplitSeq("\n"+changelog, "\n## ") {
			heading, body, _ := strings.Cut(section, "\n")
			words := strings.FieldsFunc(heading, func(r rune) bool { return strings.ContainsRune(" []():,", r) })
			headings = append(headings, "## "+heading)
			switch {
			case !slices.Contains(words, name):
			case strings.TrimSpace(body) == "":
				return "", fmt.Errorf("CHANGELOG.md says nothing below %q: write what users will see", "## "+heading)
			case isFinal && version == name && slices.Contains(words, unreleased):
				return "", fmt.Errorf("CHANGELOG.md still calls %s unreleased: make its heading \"## %s\", and commit that before the tag", version, version)
			default:
				return absolute(strings.TrimSpace(body), version), nil
			}
		}
	}
	return "", fmt.Errorf("CHANGELOG.md has no section for %s: add one, \"## %s\", or name the version in the heading of what is unreleased, \"## %s: %s\" (the newest heading is %q)",
		version, version, unreleased, version, headings[min(1, len(headings)-1)])
}

// relative is a link into the repository.
var relative = regexp.MustCompile(`\]\(([^):#][^):]*)\)`)

// absolute makes links into the repository lead to the version's files from anywhere.
func absolute(text, version string) string {
	return relative.ReplaceAllString(text, "]("+home+"/blob/"+version+"/$1)")
}

// notesOf is the text of the release's page.
func notesOf(p plan, reference string) string {
	return fmt.Sprintf(`%s

## Install

%s
kubectl apply --server-side -f %s/releases/download/%s/install.yaml
%s

or with Helm:

%s
helm install tokenkeeper oci://%s/tokenkeeper --version %s --namespace tokenkeeper-system --create-namespace
%s

The image is %s. [How to check what you downloaded](%s/blob/%s/docs/releasing.md#check-a-release).
`, p.notes, "```sh", home, p.version, "```", "```sh", chartRegistry, p.number(), "```", "`"+reference+"`", home, p.version)
}
