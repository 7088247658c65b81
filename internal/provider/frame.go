// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"errors"
	"html"
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
	case c.kind == isForm:
	case c.kind == isJSON && len(c.rest) == 0 && (!isList(c.value) || e.holdsToken(reply, c.value)):
	case c.kind == isJSON && e.holdsToken(reply, c.value):
		c.addFlaw("other text follows its JSON")
	default:
		inner, flaw := e.inside(reply, body, c.decoded)
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

func isList(value any) bool {
	_, is := value.([]any)
	return is
}

// inside looks for what a body holds in the texts that it may stand for: the body itself,
// the text that is the whole of its JSON (some servers encode twice), and what a page
// shows, whose quotes are escaped.
func (e *Exchange) inside(reply Reply, body []byte, whole decoded) (found decoded, flaw string) {
	found, flaw = e.within(reply, body)
	if text, isText := whole.value.(string); isText && flaw == "" && text != string(body) {
		found, flaw = e.within(reply, []byte(text))
	}
	if escapedQuote.Match(body) && (flaw == "" || !e.holdsToken(reply, found.value)) {
		if shown, why := e.within(reply, []byte(html.UnescapeString(string(body)))); why != "" {
			found, flaw = shown, why
		}
	}
	return found, flaw
}

// escapedQuote is a quote as it is written in a page.
var escapedQuote = regexp.MustCompile(`&(?:quot|#34|#x22);`)

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
		document := decoded{value: trimKeys(value), kind: isJSON, ends: true}
		if e.holdsToken(reply, document.value) {
			return document, why
		}
		if list, is := value.([]any); is && len(list) == 1 && e.holdsToken(reply, list[0]) {
			return decoded{value: list[0], kind: isJSON, ends: true}, inList
		}
		if _, isObject := value.(map[string]any); isObject && flaw == "" {
			found, flaw = document, why
		}
		text = rest
	}
	if form, ok := e.formWithin(reply); ok {
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
