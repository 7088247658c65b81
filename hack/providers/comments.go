// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
)

// remark is a comment within a description.
type remark struct {
	At   string // the field that it stands at
	Text string
}

// field finds the field of a line, and a comment behind it.
var field = regexp.MustCompile(`^\s*(?:- )?([A-Za-z_][A-Za-z0-9_.-]*):(?:.*?\s#\s+(.+))?`)

// comments reads what a file says beside its fields: the paragraphs at its head, and the
// comments within.
func comments(file string) (head []string, within []remark) {
	var block []string
	flush := func() string {
		text := escape(strings.Join(block, " "))
		block = nil
		return text
	}
	inHead, section := true, ""
	for line := range strings.Lines(file) {
		text, isComment := strings.CutPrefix(strings.TrimSpace(line), "#")
		text = strings.TrimSpace(text)
		switch {
		case isComment && text != "":
			block = append(block, text)
			continue
		case inHead && len(block) > 0:
			head = append(head, flush())
		}
		if isComment {
			continue
		}
		inHead = false
		found := field.FindStringSubmatch(line)
		if found == nil {
			block = nil // a comment-like line of a folded text
			continue
		}
		if found[1] != "when" && found[1] != "reason" {
			section = found[1]
		}
		if len(block) > 0 {
			within = append(within, remark{section, flush()})
		}
		if found[2] != "" {
			within = append(within, remark{section, escape(found[2])})
		}
	}
	return head, within
}

// bare finds an address that a comment writes without its scheme.
var bare = regexp.MustCompile(`(^|[ (])((?:[a-z0-9-]+\.)+(?:com|org|dev|net|io|nl|jp|cn|us|eu|me|tv|so|app)/[^\s,;)]*[^\s,;).:])`)

// escape makes a comment fit for Markdown: no tags, no emphasis, and its addresses links.
func escape(text string) string {
	text = strings.NewReplacer("<", "&lt;", "*", `\*`, "|", `\|`).Replace(text)
	text = bare.ReplaceAllString(text, "$1<https://$2>")
	return underscores(text)
}

// underscores keeps names such as refresh_token as they are: each word with one becomes
// code, unless it is an address or a path.
func underscores(text string) string {
	words := strings.Split(text, " ")
	for i, word := range words {
		core := strings.Trim(word, `.,;:()"'`)
		if strings.Contains(core, "_") && !strings.ContainsAny(core, "/`<") {
			words[i] = strings.Replace(word, core, "`"+core+"`", 1)
		}
	}
	return strings.Join(words, " ")
}
