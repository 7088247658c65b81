// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const canary = "xK7qPz2mWv9tLs4"

func TestTextNeverPrints(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "canary tokens in every input and reply")
	text := New(canary)
	type hidden struct{ inner Text }
	type shown struct{ Inner Text }
	cases := map[string]struct {
		reason string
		print  func() string
	}{
		"every verb": {"a Formatter answers to all of them", func() string {
			return fmt.Sprintf("%v %+v %#v %s %q %x %X %d %t %c %08.3f", text, text, text, text, text, text, text, text, text, text, text)
		}},
		"a pointer":           {"a pointer has the same methods", func() string { return fmt.Sprintf("%v %+v %#v", &text, &text, &text) }},
		"an exported field":   {"fmt asks the field", func() string { return fmt.Sprintf("%v %+v %#v", shown{text}, shown{text}, shown{text}) }},
		"an unexported field": {"fmt cannot ask the field, and must find no string", func() string { return fmt.Sprintf("%v %+v %#v", hidden{text}, hidden{text}, &hidden{text}) }},
		"a slice and a map":   {"fmt asks the elements", func() string { return fmt.Sprintf("%v %#v", []Text{text}, map[string]Text{"k": text}) }},
		"an error":            {"wrapped into an error it is the same", func() string { return fmt.Errorf("failed with %v and %w", text, fmt.Errorf("%s", text)).Error() }},
		"String":              {"callers that do not go through fmt", text.String},
		"JSON":                {"loggers encode values as JSON", func() string { encoded, _ := json.Marshal(shown{text}); return string(encoded) }},
		"a panic": {"a panic prints its value with fmt", func() (printed string) {
			defer func() { printed = fmt.Sprint(recover()) }()
			panic(hidden{text})
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			printed := c.print()
			for at := range len(canary) - 3 {
				if strings.Contains(printed, canary[at:at+4]) || strings.Contains(printed, fmt.Sprintf("%x", canary[at:at+4])) {
					t.Fatalf("%s: a part of the secret was printed", c.reason)
				}
			}
		})
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	if got := New(canary).Reveal(); got != canary {
		t.Errorf("Reveal gives back what was wrapped, got %q", got)
	}
	if !(Text{}).IsZero() || !New("").IsZero() || New("x").IsZero() {
		t.Error("only the empty secret is zero")
	}
	if !New("a").Equal(New("a")) || New("a").Equal(New("b")) || !(Text{}).Equal(New("")) {
		t.Error("secrets are equal by value")
	}
	if New("").Digest() != "" || len(New("a").Digest()) != 32 || New("a").Digest() == New("b").Digest() {
		t.Error("a digest is 16 bytes in hex, tells secrets apart, and is empty for the empty one")
	}
}
