// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// longestLifetime is ten years, leap days included. A reply that states more is
// mistaken, most often about the unit.
const longestLifetime = 3653 * 24 * time.Hour

// readLifetimes works out when the tokens expire; ignored tells that the reply
// states a lifetime that is of no use.
func (r *reader) readLifetimes(grant *token.Grant) (ignored bool) {
	response, now := &r.call.response, r.exchange.now
	grant.IssuedAt = now
	life, bad := r.stated(response.expiresAt, response.expiresIn)
	if life == 0 {
		life = r.call.lifetimes.access
	}
	grant.ExpiresAt = now.Add(life)

	refreshLife, badRefresh := r.stated(response.refreshTokenExpiresAt, response.refreshTokenExpiresIn)
	if refreshLife == 0 && !grant.RefreshToken.IsZero() {
		refreshLife = r.call.lifetimes.refresh
	}
	if refreshLife > 0 {
		grant.RefreshTokenExpiresAt = now.Add(refreshLife)
	}
	return bad || badRefresh
}

// stated gives the lifetime that a reply states, by a moment or else by a span;
// 0 where it states none or none that can be used.
func (r *reader) stated(at, in *expression.Expression) (life time.Duration, ignored bool) {
	for _, candidate := range []struct {
		field *expression.Expression
		read  func(value any) (time.Duration, bool)
	}{
		{at, r.until},
		{in, span},
	} {
		if candidate.field == nil {
			continue
		}
		value, present, err := candidate.field.Value(r.variables)
		if err != nil {
			// What is not there is not stated; what is there and cannot be
			// computed with deserves a word.
			ignored = ignored || !expression.IsMissing(err)
			continue
		}
		if !present || value == nil {
			continue
		}
		life, usable := candidate.read(value)
		ignored = ignored || !usable
		if life > 0 {
			return life, ignored
		}
	}
	return 0, ignored
}

// span reads a lifetime: seconds as a number or a numeric text, or a duration. 0
// and the empty text are not stated, which is usable.
func span(value any) (life time.Duration, usable bool) {
	if duration, ok := value.(time.Duration); ok {
		return bounded(duration.Seconds())
	}
	seconds, empty, ok := numeric(value)
	if empty || !ok {
		return 0, empty
	}
	return bounded(seconds)
}

// until reads a moment: a timestamp, its text in RFC 3339, or seconds since
// 1970, as the time from now to then. 0 and the empty text are not stated.
func (r *reader) until(value any) (life time.Duration, usable bool) {
	now := r.exchange.now
	switch value := value.(type) {
	case time.Time:
		return bounded(value.Sub(now).Seconds())
	case string:
		if moment, err := time.Parse(time.RFC3339, strings.TrimSpace(value)); err == nil {
			return bounded(moment.Sub(now).Seconds())
		}
	}
	seconds, empty, ok := numeric(value)
	if empty || !ok || seconds == 0 {
		return 0, empty || ok
	}
	life, usable = bounded(seconds - float64(now.UnixNano())/1e9)
	return life.Round(time.Millisecond), usable && life > 0
}

// bounded turns seconds into a lifetime; one that is negative or beyond ten
// years is not usable.
func bounded(seconds float64) (life time.Duration, usable bool) {
	if math.IsNaN(seconds) || seconds < 0 || seconds > longestLifetime.Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// numeric reads a number, or a text that holds one.
func numeric(value any) (number float64, empty, ok bool) {
	switch value := value.(type) {
	case int64:
		return float64(value), false, true
	case uint64:
		return float64(value), false, true
	case float64:
		return value, false, true
	case string:
		text := strings.TrimSpace(value)
		if text == "" {
			return 0, true, false
		}
		number, err := strconv.ParseFloat(text, 64)
		return number, false, err == nil
	}
	return 0, false, false
}

// retryAfter reads the header of that name: seconds or an HTTP date (RFC 9110
// section 10.2.3). What cannot be read, or has passed, is 0; more than a day is
// a day.
func retryAfter(header string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(max(0, min(seconds, int64(most/time.Second)))) * time.Second
	}
	if moment, err := http.ParseTime(header); err == nil {
		return max(0, min(moment.Sub(now), most))
	}
	return 0
}
