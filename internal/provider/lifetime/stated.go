// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package lifetime

import (
	"fmt"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

// Longest is ten years, leap days included. A reply that states more is mistaken, most
// often about the unit.
const Longest = 3653 * 24 * time.Hour

// Assumed holds where a reply states none.
type Assumed struct {
	Access  time.Duration
	Refresh time.Duration // 0: not known
	// Declared tells that the description says how long an access token lives.
	Declared bool
}

// Stated is what a reply states of a lifetime.
type Stated struct {
	Kind   Kind
	Life   time.Duration // from now
	Name   string        // of the field that states it
	IsZero bool          // it states 0
	// Ignored is true where something that was stated is of no use.
	Ignored bool
	// Remark says what is wrong with what was stated.
	Remark string

	// isTooLong is true where it states more than Longest.
	isTooLong bool
}

// Kind says whether a lifetime is stated, and whether it is over.
type Kind int

// The kinds of what is stated.
const (
	Nothing Kind = iota // that is of use
	Life
	End // that has come
)

// Statement is a field of a reply that may state a lifetime.
type Statement struct {
	Name  string
	Field *expression.Expression // nil: absent
	// Read is Within or Until.
	Read func(value any, now time.Time) Stated
}

// Of gives the lifetime that a reply states, by a moment or else by a span. A moment that
// has passed gives way to a span that has not: the clocks may differ.
func Of(variables map[string]any, now time.Time, statements ...Statement) Stated {
	var ended, useless Stated
	for _, each := range statements {
		read, present := each.stated(variables, now)
		if !present {
			continue
		}
		read.Name = each.Name
		switch {
		case read.Kind == Life:
			if useless.Ignored && !useless.IsZero {
				read.Ignored, read.Remark = true, useless.Remark+", so "+each.Name+" is used"
			}
			return read
		case read.Kind == End && ended.Kind == Nothing:
			ended = read
		case read.Kind == Nothing && !useless.Ignored:
			read.Ignored = true
			read.Remark = fmt.Sprintf("the reply states a lifetime (%s) %s", each.Name, read.Remark)
			useless = read
		}
	}
	if ended.Kind == End {
		return ended
	}
	return useless
}

// stated reads one field; present is false where the reply does not have it.
func (s Statement) stated(variables map[string]any, now time.Time) (read Stated, present bool) {
	if s.Field == nil {
		return Stated{}, false
	}
	value, present, err := s.Field.Value(variables)
	if err != nil {
		// What is not there is not stated; what is there and cannot be computed with
		// deserves a word.
		return Stated{Remark: unreadable}, !expression.IsMissing(err)
	}
	if text, isText := value.(string); isText && strings.TrimSpace(text) == "" {
		return Stated{}, false
	}
	if !present || value == nil {
		return Stated{}, false
	}
	return s.Read(value, now), true
}

// refreshEnds are the members in which servers state how long a refresh token lives. No RFC
// has one: Keycloak and its kin, GitHub and LinkedIn, Intuit.
var refreshEnds = []string{"refresh_expires_in", "refresh_token_expires_in", "x_refresh_token_expires_in"}

// OfRefreshToken gives the lifetime of a refresh token that a body states where servers
// commonly do.
func OfRefreshToken(body any, now time.Time) Stated {
	members, _ := body.(map[string]any)
	for _, name := range refreshEnds {
		if value, has := members[name]; has {
			if read := Within(value, now); read.Kind == Life {
				return read
			}
		}
	}
	return Stated{}
}
