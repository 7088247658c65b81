// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package timetext_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/timetext"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func TestMomentsAreReadInEveryNotationThatHasOneMeaning(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an end in a notation of its own")
	day := noon.Truncate(24 * time.Hour)
	for text, c := range map[string]struct {
		reason string
		want   time.Time
		zoned  bool
	}{
		"2026-11-26T12:00:00Z":                    {"RFC 3339", noon, true},
		" 2026-11-26T12:00:00Z\n":                 {"white space around it", noon, true},
		`"2026-11-26T12:00:00Z"`:                  {"quoted twice", noon, true},
		"2026-11-26t12:00:00z":                    {"RFC 3339 section 5.6 allows lower case", noon, true},
		"2026-11-26 12:00:00Z":                    {"and a blank", noon, true},
		"2026-11-26T12:00:00.5Z":                  {"a fraction", noon.Add(500 * time.Millisecond), true},
		"2026-11-26T12:00:00,5Z":                  {"ISO 8601 writes it with a comma too", noon.Add(500 * time.Millisecond), true},
		"2026-11-26T12:00:00.123456789Z":          {"nanoseconds", noon.Add(123456789), true},
		"2026-11-26T13:00:00+01:00":               {"an offset", noon, true},
		"2026-11-26T12:00:00+0000":                {"an offset without a colon", noon, true},
		"2026-11-26T06:30:00-0530":                {"behind UTC", noon, true},
		"2026-11-26T13:00:00+01":                  {"hours alone", noon, true},
		"2026-11-26T12:00:00.000+0000":            {"Java's", noon, true},
		"2026-11-26 13:00:00 +0100":               {"Ruby's", noon, true},
		"2026-11-26 12:00:00 UTC":                 {"Ruby's, in UTC", noon, true},
		"2026-11-26 12:00:00 +0000 UTC":           {"Go's", noon, true},
		"2026-11-26 12:00:00 +0000 UTC m=+0.01":   {"Go's, with its other clock", noon, true},
		"2026-11-26T12:00:00Z[UTC]":               {"RFC 9557, as Java writes it", noon, true},
		"2026-11-26T13:00:00+01:00[Europe/Paris]": {"RFC 9557", noon, true},
		"2026-11-26T12:00Z":                       {"no seconds", noon, true},
		"2026-11-26T12:00:00":                     {"without a zone", noon, false},
		"2026-11-26 12:00:00":                     {"a database's", noon, false},
		"2026-11-26T12:00:00.000000":              {"Python's", noon, false},
		"2026-11-26T12:00":                        {"a form's", noon, false},
		"2026/11/26 12:00:00":                     {"the year first, so the order is clear", noon, false},
		"2026-11-26":                              {"a day: its first moment, so that no token is taken for good after its end", day, false},
		"20261126T120000Z":                        {"ISO 8601, basic", noon, true},
		"20261126T120000+0000":                    {"with an offset", noon, true},
		"20261126T120000":                         {"without a zone", noon, false},
		"20261126T1200Z":                          {"no seconds", noon, true},
		"20261126120000":                          {"digits alone", noon, false},
		"20261126120000Z":                         {"ASN.1's", noon, true},
		"Thu, 26 Nov 2026 12:00:00 GMT":           {"RFC 1123", noon, true},
		"Thu, 26 Nov 2026 12:00:00 UTC":           {"with UTC", noon, true},
		"Thu, 26 Nov 2026 12:00:00 Z":             {"with Z", noon, true},
		"Thu, 26 Nov 2026 13:00:00 +0100":         {"RFC 5322", noon, true},
		"thu, 26 nov 2026 12:00:00 gmt":           {"in lower case", noon, true},
		"26 Nov 2026 12:00:00 GMT":                {"without a weekday", noon, true},
		"Thu, 6 Nov 2026 12:00:00 GMT":            {"a day of one digit", noon.AddDate(0, 0, -20), true},
		"Fri, 26 Nov 2026 12:00:00 GMT":           {"the weekday says nothing, right or wrong", noon, true},
		"Thu, 26-Nov-2026 12:00:00 GMT":           {"a cookie's", noon, true},
		"Thursday, 26-Nov-26 12:00:00 GMT":        {"RFC 850", noon, true},
		"Thu, 26 Nov 26 12:00:00 GMT":             {"RFC 822", noon, true},
		"Thu Nov 26 12:00:00 2026":                {"ANSI C", noon, false},
		"Thu Nov  6 12:00:00 2026":                {"ANSI C pads", noon.AddDate(0, 0, -20), false},
		"Thu Nov 26 12:00:00 UTC 2026":            {"date's and Java's", noon, true},
		"Thu Nov 26 13:00:00 +0100 2026":          {"Ruby's", noon, true},
		"Thu Nov 26 2026 13:00:00 GMT+0100 (Central European Standard Time)": {"JavaScript's", noon, true},
		"Nov 26, 2026 12:00:00 PM":               {"Java's", noon, false},
		"Nov 26, 2026 3:00:00 PM":                {"in the afternoon", noon.Add(3 * time.Hour), false},
		"/Date(1795694400000)/":                  {".NET's", noon, true},
		"new Date(1795694400000)":                {"JavaScript's source", noon, true},
		"26/Nov/2026:12:00:00 +0000":             {"a web server's log", noon, true},
		"2026.11.26 12:00:00":                    {"the year first, so the order is clear", noon, false},
		"20261126 12:00:00":                      {"a day without hyphens", noon, false},
		"2026-330T12:00:00Z":                     {"ISO 8601, the 330th day", noon, true},
		"2026-11-26T12Z":                         {"ISO 8601, hours alone", noon, true},
		"2026-11-26T06:30:00\u221205:30":         {"a minus that is no hyphen", noon, true},
		"2026-11-26T12:00:00 Z":                  {"a blank before the zone", noon, true},
		"2026-11-26 12:00:00+00":                 {"PostgreSQL's", noon, true},
		"2026-11-26 12:00:00.000000+00:00":       {"Python's", noon, true},
		"Nov 26, 2026, 12:00:00\u202fPM":         {"JavaScript's, with its narrow blank", noon, false},
		"Nov 26 2026 12:00PM":                    {"SQL Server's", noon, false},
		"Nov 26, 2026 12:00:00 pm":               {"in lower case", noon, false},
		"November 26, 2026 at 12:00:00 p.m. UTC": {"as people write it", noon, true},
		"Thu 26 Nov 2026 12:00:00 PM UTC":        {"date's", noon, true},
		"Thu Nov 26 12:00:00 PM UTC 2026":        {"date's in American English", noon, true},
		`\/Date(1795694400000)\/`:                {"as it is escaped", noon, true},
		"/Date(1795694400000+0100)/":             {"the offset is for show", noon, true},
		"Date(1795694400000)":                    {"without strokes", noon, true},
	} {
		got, zoned, ok := timetext.Moment(text)
		if !ok || !got.Equal(c.want) || zoned != c.zoned {
			t.Errorf("%q: %v, zoned %t, read %t; want %v, %t\nreason: %s", text, got, zoned, ok, c.want, c.zoned, c.reason)
		}
	}
}

func TestMomentsOfMoreThanOneMeaningAreRefused(t *testing.T) {
	t.Parallel()
	for text, reason := range map[string]string{
		"":                              "nothing",
		"soon":                          "no date",
		"11/12/2026 12:00:00":           "November or December",
		"26.11.2026 12:00":              "the order of what is between points differs, too",
		"Thu, 26 Nov 2026 12:00:00 CST": "three zones have that name",
		"Thu, 26 Nov 2026 12:00:00 IST": "three zones have that name",
		"2026-11-26T12:00:00 local":     "nobody knows which",
		"2026-11-26T25:00:00Z":          "no hour",
		"2026-02-30T12:00:00Z":          "no day",
		"2026-11-26T12:00:00+99:00":     "no zone",
		"2026-11":                       "a month is no moment",
		"12:00:00":                      "of which day",
		"1795694400":                    "a number is Epoch's",
		"2026-11-26T12:00:00Z or so":    "what follows may say anything",
		strings.Repeat("2", 10_000):     "too long",
	} {
		if got, _, ok := timetext.Moment(text); ok {
			t.Errorf("%q was read as %v\nreason: %s", text, got, reason)
		}
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an end in a notation of its own")
	const unread = math.MinInt64
	for text, c := range map[string]struct {
		reason string
		want   time.Duration
	}{
		"3600s":            {"Go's, and protobuf's", time.Hour},
		"1h":               {"Go's", time.Hour},
		"1h30m":            {"Go's", 90 * time.Minute},
		"1h0m0s":           {"Go's", time.Hour},
		"-5s":              {"negative", -5 * time.Second},
		"3.5s":             {"a fraction", 3500 * time.Millisecond},
		"500ms":            {"milliseconds", 500 * time.Millisecond},
		"7d":               {"as JavaScript's libraries write it", 7 * 24 * time.Hour},
		"2 days":           {"with a blank", 48 * time.Hour},
		"60 Minutes":       {"in upper case", time.Hour},
		"1 hour, 5 mins":   {"in words", 65 * time.Minute},
		"1 hour and 5 min": {"in words", 65 * time.Minute},
		"1H":               {"in upper case", time.Hour},
		"3600 Second(s)":   {"as a form prints it", time.Hour},
		"PT1H":             {"ISO 8601", time.Hour},
		"PT3600S":          {"ISO 8601", time.Hour},
		"pt1h":             {"in lower case", time.Hour},
		"PT0.5H":           {"a fraction", 30 * time.Minute},
		"PT0,5H":           {"with a comma", 30 * time.Minute},
		"P1D":              {"a day", 24 * time.Hour},
		"P1DT12H":          {"a day and a half", 36 * time.Hour},
		"P2W":              {"weeks", 14 * 24 * time.Hour},
		"P1M":              {"the month that follows: from 26 November to 26 December", 30 * 24 * time.Hour},
		"P1Y":              {"the year that follows", 365 * 24 * time.Hour},
		"-PT5S":            {"negative", -5 * time.Second},
		"PT-5S":            {"negative, as Java writes it", -5 * time.Second},
		"PT1H30M15.5S":     {"all parts", time.Hour + 30*time.Minute + 15500*time.Millisecond},
		"01:00:00":         {"a clock's", time.Hour},
		"1.00:00:00":       {".NET's day", 24 * time.Hour},
		"1 day, 1:00:00":   {"Python's", 25 * time.Hour},
		"00:00:30.5000000": {".NET's fraction", 30500 * time.Millisecond},
		"P99999999Y":       {"beyond all bounds", math.MaxInt64},
		"9999999999h":      {"beyond all bounds", math.MaxInt64},
		"":                 {"nothing", unread},
		"P":                {"no part", unread},
		"PT":               {"no part", unread},
		"1H30":             {"of what", unread},
		"5M":               {"minutes or months", unread},
		"soon":             {"no number", unread},
		"5 moons":          {"no unit", unread},
		"10:00":            {"minutes or hours", unread},
		"3600":             {"a number is Number's", unread},
		"1e3s":             {"no such notation", unread},
		"--5s":             {"two signs", unread},
	} {
		got, ok := timetext.Span(text, noon)
		if !ok {
			got = unread
		}
		if got != c.want {
			t.Errorf("%q: %v, want %v\nreason: %s", text, got, c.want, c.reason)
		}
	}
}

func TestAnEpochIsReadByItsMagnitude(t *testing.T) {
	t.Parallel()
	const tenYears = 3653 * 24 * time.Hour
	for number, c := range map[float64]struct {
		reason string
		ok     bool
	}{
		1795694400:          {"seconds", true},
		1795694400000:       {"milliseconds", true},
		1795694400000000:    {"microseconds", true},
		1795694400000000000: {"nanoseconds", true},
		3600:                {"1970 is no time for a token", false},
		0:                   {"nor is its first second", false},
		20261126120000:      {"digits of a date", false},
		1e30:                {"nothing", false},
		math.Inf(1):         {"nothing", false},
	} {
		got, ok := timetext.Epoch(number, noon.Add(-time.Hour), tenYears)
		if ok != c.ok || ok && !got.Equal(noon) {
			t.Errorf("%v: %v, %t; want %t\nreason: %s", number, got, ok, c.ok, c.reason)
		}
	}
}

func FuzzTexts(f *testing.F) {
	for _, seed := range []string{"2026-11-26T12:00:00Z", "Thu, 26 Nov 2026 12:00:00 GMT", "PT1H", "1 day, 2:03:04", "/Date(1)/", "1e30", "P99999999999999Y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if moment, _, ok := timetext.Moment(text); ok && moment.IsZero() && !strings.Contains(text, "0001") && !strings.Contains(text, "Date") {
			t.Errorf("%q is read as no moment", text)
		}
		_, _ = timetext.Span(text, noon)
		_, _ = timetext.Number(text)
	})
}
