// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package body

import (
	"bytes"
	"errors"
	"html"
	"regexp"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// Read gives what the body holds. That is looked for inside of it where it is not the body:
// a server's warning before its JSON must not cost a token.
func (s Source) Read(holdsToken func(value any) bool) Content {
	body := stripped(s.Bytes, s.Prefix)
	c := decode(body, s.Format)
	c.Flaw = s.Flaw
	switch {
	case c.Kind == Form:
	case c.Kind == JSON && len(c.rest) == 0 && (!isList(c.Value) || holdsToken(c.Value)):
	case c.Kind == JSON && holdsToken(c.Value):
		c.addFlaw("other text follows its JSON")
	default:
		inner, flaw := frame{source: s, holdsToken: holdsToken}.inside(body, c.Value)
		if flaw == "" || c.Kind == JSON && !holdsToken(inner.Value) {
			break
		}
		inner.Flaw, c = c.Flaw, inner
		c.addFlaw(flaw)
	}
	if s.CutShort && c.Ends {
		c.addFlaw("it ended before the end that was announced, and behind what it holds")
	}
	return c
}

func isList(value any) bool {
	_, is := value.([]any)
	return is
}

// frame is what may stand around the tokens of a body.
type frame struct {
	source Source
	// holdsToken reports whether a value of the body holds a token of its own.
	holdsToken func(value any) bool
}

// inside looks for what a body holds in the texts that it may stand for: the body itself,
// the text that is the whole of its JSON (some servers encode twice), and what a page
// shows, whose quotes are escaped.
func (f frame) inside(body []byte, whole any) (found Content, flaw string) {
	found, flaw = f.within(body)
	if text, isText := whole.(string); isText && flaw == "" && text != string(body) {
		found, flaw = f.within([]byte(text))
	}
	if escapedQuote.Match(body) && (flaw == "" || !f.holdsToken(found.Value)) {
		if shown, why := f.within([]byte(html.UnescapeString(string(body)))); why != "" {
			found, flaw = shown, why
		}
	}
	return found, flaw
}

// escapedQuote is a quote as it is written in a page.
var escapedQuote = regexp.MustCompile(`&(?:quot|#34|#x22);`)

const (
	// maxCandidates is how many places of a text are tried for JSON or a form.
	maxCandidates = 16
	// maxTried is how many bytes are tried in all, in bytes: those of a reply of the
	// default size, four times.
	maxTried = 1 << 20
)

// opening is where JSON that holds a token may begin: an object with a member, or a
// list of objects.
var opening = regexp.MustCompile(`\{\s*"|\[\s*\{`)

// within looks for JSON or a form inside of a text: the first with a token in it, or else
// the first object, which may say why there is none. The flaw is empty where there is
// nothing.
func (f frame) within(text []byte) (found Content, flaw string) {
	const (
		inText = "its JSON stands in the midst of other text"
		inList = "its JSON is a list where an object is wanted"
		byHand = "its JSON is not valid, and was read as it is most likely meant"
	)
	tried := 0
	for range maxCandidates {
		at := opening.FindIndex(text)
		if at == nil || tried > maxTried {
			break
		}
		text = text[at[0]:]
		tried += len(text)
		value, rest, err := jsontext.Decode(text)
		why := inText
		if err != nil {
			if value, rest, err = decodeMended(text); err != nil {
				text = text[1:]
				continue
			}
			why = byHand
		}
		document := Content{Value: trimKeys(value), Kind: JSON, Ends: true}
		if f.holdsToken(document.Value) {
			return document, why
		}
		if list, is := value.([]any); is && len(list) == 1 && f.holdsToken(list[0]) {
			return Content{Value: list[0], Kind: JSON, Ends: true}, inList
		}
		if _, isObject := value.(map[string]any); isObject && flaw == "" {
			found, flaw = document, why
		}
		text = rest
	}
	if form, ok := f.formWithin(); ok {
		return form, "its form stands in the midst of other text"
	}
	return found, flaw
}

// decodeMended reads JSON that is not valid, of which it is clear how it is meant. What
// would go on behind it does not count.
func decodeMended(text []byte) (value any, rest []byte, err error) {
	mended, changed := jsontext.Mend(text)
	if !changed {
		return nil, nil, errNotMended
	}
	return jsontext.Decode(mended)
}

var errNotMended = errors.New("it is not JSON, and nothing in it can be mended")

// formWithin looks for a form that holds a token among other text. The last word of a body
// that was cut short may be half of one.
func (f frame) formWithin() (Content, bool) {
	if !bytes.ContainsRune(f.source.Bytes, '=') || len(f.source.Bytes) > maxTried {
		return Content{}, false
	}
	words := bytes.FieldsFunc(f.source.Bytes, func(r rune) bool { return strings.ContainsRune(" \t\r\n<>\"'{}", r) })
	if f.source.CutShort && len(words) > 0 {
		words = words[:len(words)-1]
	}
	candidates := 0
	for _, word := range words {
		if !bytes.ContainsRune(word, '&') || !looksLikeForm(word) {
			continue
		}
		if candidates++; candidates > maxCandidates {
			break
		}
		form := decodeForm(word)
		if form.Err == nil && f.holdsToken(form.Value) {
			form.Ends = true // white space or markup follows
			return form, true
		}
	}
	return Content{}, false
}
