// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// content is what a reply's body holds, and what was wrong with what it came in.
type content struct {
	decoded
	// flaw says what was wrong with the frame; empty: nothing.
	flaw string
}

// isWhole reports whether the body has come to its end: as it was announced, or since it
// shows its own end, as JSON does.
func (c content) isWhole(reply Reply) bool { return !reply.CutShort || c.ends }

// contentOf a reply. What a body holds is looked for inside of it where it is not the
// body: a server's warning before its JSON must not cost a token.
func (e *Exchange) contentOf(reply Reply) content {
	body := stripped(reply.Body, e.call.response.prefix)
	c := content{decoded: decode(body, e.call.response.format), flaw: reply.Flaw}
	switch {
	case c.kind == isJSON && len(c.rest) == 0, c.kind == isForm:
	case c.kind == isJSON && e.holdsToken(reply, c.value):
		c.addFlaw("other text follows its JSON")
	default:
		inner, flaw := e.within(reply, body)
		if flaw == "" || c.kind == isJSON && !e.holdsToken(reply, inner.value) {
			break
		}
		c.decoded = inner
		c.addFlaw(flaw)
	}
	if reply.CutShort && c.ends {
		c.addFlaw("it ended before the end that was announced, and behind what it holds")
	}
	return c
}

func (c *content) addFlaw(flaw string) { c.flaw = strings.TrimPrefix(c.flaw+", and "+flaw, ", and ") }

// holdsToken reports whether a value of the body holds a token of its own.
func (e *Exchange) holdsToken(reply Reply, value any) bool {
	r := e.reader(reply, value)
	for _, field := range []*expression.Expression{e.call.response.accessToken, e.call.response.refreshToken} {
		if field == nil || !field.Uses(bodyVariable) {
			continue
		}
		if text, ok := r.text(field); ok && text != "" {
			return true
		}
	}
	return false
}

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
func (e *Exchange) within(reply Reply, text []byte) (found decoded, flaw string) {
	const inText = "its JSON stands in the midst of other text"
	tried := 0
	for range maxCandidates {
		at := opening.FindIndex(text)
		if at == nil || tried > maxTried {
			break
		}
		text = text[at[0]:]
		tried += len(text)
		value, rest, err := jsontext.Decode(text)
		if err != nil {
			text = text[1:]
			continue
		}
		document := decoded{value: trimKeys(value), kind: isJSON, ends: true}
		if e.holdsToken(reply, document.value) {
			return document, inText
		}
		if _, isObject := value.(map[string]any); isObject && flaw == "" {
			found, flaw = document, inText
		}
		text = rest
	}
	if form, ok := e.formWithin(reply); ok {
		return form, "its form stands in the midst of other text"
	}
	return found, flaw
}

// formWithin looks for a form that holds a token among other text. The last word of a body
// that was cut short may be half of one.
func (e *Exchange) formWithin(reply Reply) (decoded, bool) {
	if !bytes.ContainsRune(reply.Body, '=') || len(reply.Body) > maxTried {
		return decoded{}, false
	}
	words := bytes.FieldsFunc(reply.Body, func(r rune) bool { return strings.ContainsRune(" \t\r\n<>\"'{}", r) })
	if reply.CutShort && len(words) > 0 {
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
		if form.err == nil && e.holdsToken(reply, form.value) {
			form.ends = true // white space or markup follows
			return form, true
		}
	}
	return decoded{}, false
}
