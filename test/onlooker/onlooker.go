// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package onlooker looks for secrets where people look who may not read them: raw, in
// every escape, and as the digests by which a guess could be checked. It shares no code
// with the operator.
package onlooker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Onlooker collects secrets and whatever is seen beside them. Safe for concurrent use.
type Onlooker struct {
	mu      sync.Mutex
	secrets map[string]string // where each of them was kept
	wholes  map[string]string // whose digests alone are looked for
	seen    map[string]string // where each text was seen first
	public  []string
}

// Hide takes a secret; where says what it is.
func (o *Onlooker) Hide(where, secret string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	note(&o.secrets, secret, where)
}

// HideWhole takes a text that has secrets in it among other things: from its digest they
// can be guessed, too.
func (o *Onlooker) HideWhole(where, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	note(&o.wholes, text, where)
}

func note(texts *map[string]string, text, where string) {
	if *texts == nil {
		*texts = map[string]string{}
	}
	if _, known := (*texts)[text]; !known && text != "" {
		(*texts)[text] = where
	}
}

// See takes a text that an onlooker reads; place says where.
func (o *Onlooker) See(place, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	note(&o.seen, text, place)
}

// Know takes what everybody knows, such as the UID of the cluster: an HMAC that is keyed
// with it hides nothing.
func (o *Onlooker) Know(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.public = append(o.public, key)
}

// Counts says how much there is to compare.
func (o *Onlooker) Counts() (secrets, texts int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.secrets), len(o.seen)
}

// Leak is a secret that was seen.
type Leak struct {
	Where  string // it was kept
	Place  string // it was seen
	Form   string // in which
	Around string // the text around it
}

// String says what leaked, for whoever reads a test's output.
func (l Leak) String() string {
	return fmt.Sprintf("%s shows %s (%s): …%s…", l.Place, l.Where, l.Form, l.Around)
}

// Leaks compares all texts with all secrets, and gives one leak for each place, form
// and whereabouts.
func (o *Onlooker) Leaks() []Leak {
	o.mu.Lock()
	defer o.mu.Unlock()
	needles := o.needles()
	found := map[string]Leak{}
	for text, place := range o.seen {
		for _, spelled := range decodings(text) {
			needles.find(spelled, func(n needle, at int) {
				leak := Leak{n.where, place, n.form, spelled[max(0, at-60):min(len(spelled), at+80)]}
				key := fmt.Sprint(leak.Where, "\n", leak.Place, "\n", leak.Form)
				if _, known := found[key]; !known {
					found[key] = leak
				}
			})
		}
	}
	leaks := make([]Leak, 0, len(found))
	for _, leak := range found {
		leaks = append(leaks, leak)
	}
	slices.SortFunc(leaks, func(a, b Leak) int { return strings.Compare(a.String(), b.String()) })
	return leaks
}

// uuid is a text with 8 hexadecimal digits at its start, of which so many are seen that
// one is like the start of a digest by chance.
var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// quoted is where JSON has a JSON text inside of it, which doubles the backslashes.
var quoted = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&", `\/`, "/")

// decodings gives a text as it is, and as a reader of JSON sees it, once and twice.
func decodings(text string) []string {
	text = uuid.ReplaceAllString(text, "uuid")
	all := []string{text}
	for range 2 {
		if text = quoted.Replace(text); text == all[len(all)-1] {
			break
		}
		all = append(all, text)
	}
	return all
}
