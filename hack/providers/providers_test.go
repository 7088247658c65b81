// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

func TestEveryProviderHasAPageAndARow(t *testing.T) {
	t.Parallel()
	pages, err := render(root)
	if err != nil {
		t.Fatal(err)
	}
	providers, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range providers {
		page, table := string(pages[each.Name+".md"]), string(pages["README.md"])
		for _, parameter := range each.Inputs.Parameters {
			if !strings.Contains(page, "| `"+parameter.Name+"` |") {
				t.Errorf("%s.md: no row tells of the parameter %s", each.Name, parameter.Name)
			}
		}
		if !strings.Contains(page, "kind: TokenCredential") {
			t.Errorf("%s.md: no credential to copy", each.Name)
		}
		if !strings.Contains(table, "| ["+each.Name+"]("+each.Name+".md) |") {
			t.Errorf("README.md: no row for %s", each.Name)
		}
	}
}

func TestEveryProviderSaysWhereItsFactsAreFrom(t *testing.T) {
	t.Parallel()
	providers, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range providers {
		if each.Description == "" || !strings.HasPrefix(each.Documentation, "http") {
			t.Errorf("%s: its page has no description of a line, or no address of the provider's documentation", each.Name)
		}
		if len(each.Notes) == 0 {
			t.Errorf("%s: its file begins with no comment that says what is peculiar and where that is documented", each.Name)
		}
	}
}

func TestSamplesAreTaken(t *testing.T) {
	t.Parallel()
	providers, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range providers {
		if _, err := each.compiled.Parameters(each.samples); err != nil {
			t.Errorf("%s: the sample's parameters are refused: %v", each.Name, err)
		}
	}
}

func TestCommentsAreReadInOrder(t *testing.T) {
	t.Parallel()
	head, within := comments(`# Two lines
# of one paragraph, see acme.example.com/a_b.
#
# Another.
description: Acme
refresh:
  response:
    # Of the rules.
    failures:
    - when: status == 429
    # Of one rule, with a refresh_token.
    - when: status == 401
lifetime:
  refreshToken: 720h  # 30 days
`)
	if diff := cmp.Diff([]string{"Two lines of one paragraph, see <https://acme.example.com/a_b>.", "Another."}, head); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
	want := []remark{{"failures", "Of the rules."}, {"failures", "Of one rule, with a `refresh_token`."}, {"refreshToken", "30 days"}}
	if diff := cmp.Diff(want, within); diff != "" {
		t.Errorf("within (-want +got):\n%s", diff)
	}
}
