// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/timetext"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// longestLifetime is ten years, leap days included. A reply that states more is
// mistaken, most often about the unit.
const longestLifetime = 3653 * 24 * time.Hour

// readLifetimes works out when the tokens expire. What a reply states and is of no use is
// remarked on; a token that the reply says has ended is not used.
func (r *reader) readLifetimes(outcome *Outcome) {
	response, grant, now := &r.call.response, &outcome.Grant, r.exchange.now
	grant.IssuedAt = now
	access := r.stated(statement{"expiresAt", response.expiresAt, r.until}, statement{"expiresIn", response.expiresIn, r.within})
	outcome.EndIsKnown = access.kind == statesLife || access.ignored || r.call.lifetimes.declared
	if access.kind == statesNothing {
		access.life = r.call.lifetimes.access
		if access.remark != "" {
			access.remark += fmt.Sprintf(", so %s is assumed", access.life)
		}
	}
	if access.kind == statesEnd {
		r.unusable = "an access token that has ended already, as its " + access.name + " says: see whether the clocks of the provider and of this cluster are right"
		grant.AccessToken, grant.Validity = noToken, token.Validity{}
	} else {
		grant.ExpiresAt = now.Add(access.life)
	}

	refresh := r.refreshStated()
	switch {
	case refresh.kind == statesLife:
		if refresh.life < token.ShortestRefresh {
			refresh.remark = fmt.Sprintf("the refresh token is good for %s, which is too short to renew it in time: have the provider give it longer", refresh.life)
		}
	case refresh.kind == statesEnd:
		refresh.remark = fmt.Sprintf("the reply states an end of the refresh token (%s) that has passed, which is ignored", refresh.name)
		refresh.life = 0
	case refresh.isZero: // servers state it of a token that does not end
		refresh.remark, refresh.ignored = "", false
	}
	if refresh.life == 0 && !grant.RefreshToken.IsZero() {
		refresh.life = r.call.lifetimes.refresh
	}
	if refresh.life > 0 {
		grant.RefreshTokenExpiresAt = now.Add(refresh.life)
	}
	outcome.LifetimeIgnored = access.ignored || refresh.ignored
	outcome.remark(access.remark, refresh.remark)
}

// refreshEnds are the members in which servers state how long a refresh token lives. No RFC
// has one: Keycloak and its kin, GitHub and LinkedIn, Intuit.
var refreshEnds = []string{"refresh_expires_in", "refresh_token_expires_in", "x_refresh_token_expires_in"}

// refreshStated gives the lifetime that a reply states of its refresh token: where the
// description says, or else where servers commonly state it.
func (r *reader) refreshStated() lifetime {
	response := &r.call.response
	if response.refreshTokenExpiresAt != nil || response.refreshTokenExpiresIn != nil {
		return r.stated(statement{"refreshTokenExpiresAt", response.refreshTokenExpiresAt, r.until}, statement{"refreshTokenExpiresIn", response.refreshTokenExpiresIn, r.within})
	}
	body, _ := r.variables[bodyVariable].(map[string]any)
	for _, name := range refreshEnds {
		if value, has := body[name]; has && r.call.role == grants {
			if read := r.within(value); read.kind == statesLife {
				return read
			}
		}
	}
	return lifetime{}
}

// statement is a field of a reply that may state a lifetime.
type statement struct {
	name  string
	field *expression.Expression
	read  func(value any) lifetime
}

// lifetime is what a reply states of one.
type lifetime struct {
	kind   lifetimeKind
	life   time.Duration // from now
	name   string        // of the field that states it
	isZero bool          // it states 0
	// isTooLong is true where it states more than longestLifetime.
	isTooLong bool
	// ignored is true where something that was stated is of no use.
	ignored bool
	// remark says what is wrong with what was stated.
	remark string
}

type lifetimeKind int

const (
	statesNothing lifetimeKind = iota // that is of use
	statesLife
	statesEnd // that has come
)

// stated gives the lifetime that a reply states, by a moment or else by a span. A moment
// that has passed gives way to a span that has not: the clocks may differ.
func (r *reader) stated(statements ...statement) lifetime {
	var ended, useless lifetime
	for _, each := range statements {
		read, present := r.statement(each)
		if !present {
			continue
		}
		read.name = each.name
		switch {
		case read.kind == statesLife:
			if useless.ignored && !useless.isZero {
				read.ignored, read.remark = true, useless.remark+", so "+each.name+" is used"
			}
			return read
		case read.kind == statesEnd && ended.kind == statesNothing:
			ended = read
		case read.kind == statesNothing && !useless.ignored:
			read.ignored = true
			read.remark = fmt.Sprintf("the reply states a lifetime (%s) %s", each.name, read.remark)
			useless = read
		}
	}
	if ended.kind == statesEnd {
		return ended
	}
	return useless
}

// statement reads one field; present is false where the reply does not have it.
func (r *reader) statement(each statement) (read lifetime, present bool) {
	if each.field == nil {
		return lifetime{}, false
	}
	value, present, err := each.field.Value(r.variables)
	if err != nil {
		// What is not there is not stated; what is there and cannot be computed with
		// deserves a word.
		return lifetime{remark: unreadable}, !expression.IsMissing(err)
	}
	if text, isText := value.(string); isText && strings.TrimSpace(text) == "" {
		return lifetime{}, false
	}
	if !present || value == nil {
		return lifetime{}, false
	}
	return each.read(value), true
}

const unreadable = "that cannot be read"

// within reads a lifetime as it is stated by its length: seconds, or a duration. A moment
// is one too, where it is written as one, or is a number that is far too long for a
// length.
func (r *reader) within(value any) lifetime {
	number, ok := numberOf(unwrapped(value))
	if !ok {
		return r.written(value)
	}
	length, now := bounded(timetext.Seconds(number)), r.exchange.now
	if !length.isTooLong {
		return length
	}
	if moment, ok := timetext.Epoch(number, now, longestLifetime); ok && moment.After(now) {
		return bounded(moment.Sub(now))
	}
	if read := r.written(value); read.kind != statesNothing {
		return read
	}
	return length
}

// until reads a lifetime as it is stated by its end: a moment, or a number since 1970. A
// length is one too, where it is written with its unit.
func (r *reader) until(value any) lifetime {
	number, ok := numberOf(unwrapped(value))
	if ok && number == 0 {
		return bounded(0)
	}
	if moment, isEpoch := timetext.Epoch(number, r.exchange.now, longestLifetime); ok && isEpoch {
		return bounded(notZero(moment.Sub(r.exchange.now)))
	}
	return r.written(value)
}

// written reads a lifetime that is no number.
func (r *reader) written(value any) lifetime {
	value = unwrapped(value)
	switch value := value.(type) {
	case time.Duration:
		return bounded(value)
	case time.Time:
		return bounded(notZero(value.Sub(r.exchange.now)))
	}
	text, isText := value.(string)
	if !isText {
		return lifetime{remark: unreadable}
	}
	if moment, zoned, ok := timetext.Moment(text); ok {
		read := bounded(notZero(moment.Sub(r.exchange.now)))
		if !zoned && read.kind != statesNothing {
			read.remark = "the reply states the end of a token without a zone, which is read as UTC"
		}
		return read
	}
	if length, ok := timetext.Span(text, r.exchange.now); ok {
		return bounded(length)
	}
	return lifetime{remark: unreadable}
}

// wrappings are the members in which serializers keep a moment or a length: protobuf and
// Firestore, Java, MongoDB's extended JSON.
var wrappings = []string{"seconds", "_seconds", "epochSecond", "$date", "$numberLong"}

// unwrapped is what an object holds that stands for one number or one text.
func unwrapped(value any) any {
	for range 2 { // {"$date": {"$numberLong": "1795694400000"}}
		object, is := value.(map[string]any)
		if !is {
			return value
		}
		for _, name := range wrappings {
			if member, has := object[name]; has {
				value = member
				break
			}
		}
	}
	return value
}

// notZero tells an end that comes just now from a length of 0, which states nothing.
func notZero(life time.Duration) time.Duration {
	if life == 0 {
		return -1
	}
	return life
}

// bounded judges a length. 0 states nothing.
func bounded(life time.Duration) lifetime {
	switch {
	case life == 0:
		return lifetime{isZero: true, remark: "of 0"}
	case life > longestLifetime || life < -longestLifetime:
		return lifetime{isTooLong: true, remark: "of more than ten years"}
	case life < 0:
		return lifetime{kind: statesEnd}
	}
	return lifetime{kind: statesLife, life: life}
}

// numberOf reads a number, or a text that holds one.
func numberOf(value any) (number float64, ok bool) {
	switch value := value.(type) {
	case int64:
		return float64(value), true
	case uint64:
		return float64(value), true
	case float64:
		return value, !math.IsNaN(value)
	case string:
		return timetext.Number(value)
	}
	return 0, false
}
