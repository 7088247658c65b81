// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// wanted is how many tokens a sample must have got: the first, and two by
// refreshes.
const wanted = 3

// behind tells what is still missing; nil: every sample got its tokens, and its
// target holds one that its provider calls valid.
func (b *board) behind(ctx context.Context, providers *providers) error {
	var problems []error
	for _, name := range b.samples {
		r := b.rows[name]
		switch {
		case r == nil:
			problems = append(problems, fmt.Errorf("%s: there is no such credential", name))
		case r.credential.Status.RefreshCount < wanted:
			problems = append(problems, fmt.Errorf("%s: got %d of %d tokens%s", name, r.credential.Status.RefreshCount, wanted, r.conditions()))
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	for _, name := range b.samples {
		r := b.rows[name]
		if !holdsValidToken(b.secret(ctx, r.credential.TargetName()), providers) {
			problems = append(problems, fmt.Errorf("%s: its target %s holds no token that the provider calls valid%s",
				name, r.credential.TargetName(), r.conditions()))
		}
	}
	return errors.Join(problems...)
}

// conditions are those of a credential, a line for each.
func (r *row) conditions() string {
	var text strings.Builder
	for _, c := range r.credential.Status.Conditions {
		fmt.Fprintf(&text, "\n    %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	return text.String()
}

// holdsValidToken asks the provider. Templates put tokens into headers and JSON,
// so each word of each value is tried.
func holdsValidToken(data map[string][]byte, providers *providers) bool {
	for _, value := range data {
		for word := range strings.FieldsFuncSeq(string(value), func(r rune) bool { return strings.ContainsRune(" \t\r\n\"{}:,", r) }) {
			if providers.AccessTokenValid(word) {
				return true
			}
		}
	}
	return false
}
