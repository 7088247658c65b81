// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package spelling finds the name that was most likely meant by one that nobody knows. It
// knows names alone, whatever they are names of.
package spelling

import (
	"cmp"
	"slices"
	"strings"
)

// Plain is a name as people confuse it with others: redirect_uri, redirectURI.
func Plain(name string) string {
	return strings.ToLower(separators.Replace(name))
}

var separators = strings.NewReplacer("_", "", "-", "")

// longest is the size of the longest name that is compared, in bytes: comparing takes time
// that grows with the square of it, and what is written may be anything.
const longest = 253

// Nearest gives the name that was most likely meant, or "". A third of it may be wrong.
func Nearest(name string, known []string) string {
	if near := misspelt(name, known); len(near) > 0 {
		return near[0]
	}
	return ""
}

// Near gives so many names at most that may have been meant, the most likely first: those
// that are misspelt, or else those that hold the name as a word of theirs, or are a word of
// it.
func Near(name string, known []string, most int) []string {
	near := misspelt(name, known)
	if len(near) == 0 {
		near = sharing(name, known)
	}
	return near[:min(most, len(near))]
}

// misspelt gives the names of which the name may be a slip, the nearest first.
func misspelt(name string, known []string) []string {
	if len(name) > longest {
		return nil
	}
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	from := Plain(name)
	least := max(1, min(3, len(from)/3))
	for _, each := range known {
		if distance := distance(from, Plain(each)); distance <= least && distance < len(Plain(each)) {
			near = append(near, candidate{each, distance})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	names := make([]string, 0, len(near))
	for _, each := range near {
		names = append(names, each.name)
	}
	return slices.Compact(names)
}

// shortestWord is the size of the shortest word that tells one name from another, in bytes:
// "app" and "sp" are in names that have nothing else in common.
const shortestWord = 4

// sharing gives the names that have a word in common with the name, sorted, those that hold
// the whole of it first.
func sharing(name string, known []string) []string {
	var whole, part []string
	words := wordsOf(name)
	for _, each := range slices.Sorted(slices.Values(known)) {
		switch {
		case len(Plain(name)) >= shortestWord && strings.Contains(Plain(each), Plain(name)):
			whole = append(whole, each)
		case slices.ContainsFunc(wordsOf(each), func(word string) bool {
			return len(word) >= shortestWord && slices.Contains(words, word)
		}):
			part = append(part, each)
		}
	}
	return slices.Concat(whole, part)
}

func wordsOf(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("-_. ", r) })
}

// distance is how many letters must be changed, added, dropped or swapped with their
// neighbour to make one text of the other (optimal string alignment).
func distance(a, b string) int {
	before, last, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}
