// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package timetext

import (
	"regexp"
	"strings"
	"time"
)

// longest is how many bytes of a text may be looked at: the longest notation has some
// seventy.
const longest = 128

// clocks are the notations of a date with a time of day, behind what normal undoes: a
// weekday, a zone, more than one blank in a row. A fraction may follow the seconds.
var clocks = []string{
	"2006-01-02T15:04:05",     // RFC 3339
	"2006-01-02T15:04",        // ISO 8601
	"2006-01-02T15",           //
	"2006-002T15:04:05",       // ISO 8601, days of the year
	"2006-01-02 15:04:05",     // RFC 3339 section 5.6, databases
	"2006-01-02 15:04",        //
	"2006-01-02 3:04:05 PM",   //
	"2006-01-02-15:04:05",     //
	"2006/01/02 15:04:05",     // the year first, so that the order is clear
	"2006/01/02T15:04:05",     //
	"2006/01/02 15:04",        //
	"2006/01/02 3:04:05 PM",   //
	"2006.01.02 15:04:05",     //
	"20060102T150405",         // ISO 8601, basic
	"20060102T1504",           //
	"20060102 150405",         //
	"20060102 15:04:05",       //
	"20060102150405",          // ASN.1's GeneralizedTime
	"2 Jan 2006 15:04:05",     // RFC 1123, RFC 5322 section 3.3
	"2 Jan 2006 15:04",        //
	"2 Jan 2006 3:04:05 PM",   // date in some languages
	"2 Jan 06 15:04:05",       // RFC 822
	"2 Jan 06 15:04",          //
	"2/Jan/2006:15:04:05",     // web servers' logs
	"2-Jan-2006 15:04:05",     // RFC 6265's cookies
	"2-Jan-06 15:04:05",       // RFC 850
	"Jan 2 15:04:05 2006",     // ANSI C's asctime
	"Jan 2 3:04:05 PM 2006",   // date in American English
	"Jan 2 2006 15:04:05",     // JavaScript
	"Jan 2 2006 3:04:05 PM",   // Java
	"Jan 2 2006 3:04 PM",      //
	"Jan 2 2006 3:04PM",       // SQL Server
	"2 January 2006 15:04:05", //
	"2 January 2006 15:04",    //
	"January 2 2006 15:04:05",
	"January 2 2006 3:04:05 PM",
	"January 2 2006 3:04 PM",
}

// days are the notations of a day without a time.
var days = []string{"2006-01-02", "2006/01/02", "2006.01.02", "20060102", "2006-002", "2 Jan 2006", "2-Jan-2006", "Jan 2 2006", "2 January 2006", "January 2 2006"}

var (
	weekday = regexp.MustCompile(`(?i)^(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+`)
	// comment is what JavaScript puts behind a zone: (Coordinated Universal Time).
	comment = regexp.MustCompile(`\s*\([^()]*\)$`)
	// monotonic is what Go puts behind a time: m=+0.1.
	monotonic = regexp.MustCompile(`\s+m=[+-][0-9.]+$`)
	// middle is a zone before the year, as date and Ruby write it.
	middle = regexp.MustCompile(`(?i)^(\w{3} \d{1,2} \d{1,2}:\d{2}:\d{2}(?:\.\d+)?(?: [ap]m)?) (\S+) (\d{4})$`)
	// named is a zone with a name of no offset, with an offset behind it or without one.
	named = regexp.MustCompile(`(?i)(\d|[ap]m)\s*(?:z|utc|gmt|ut|etc/utc)([+-]\d{2}:?\d{2})?$`)
	// offset follows a time of day, which a day of a month does not.
	offset = regexp.MustCompile(`(?i)(:\d{2}(?:[.,]\d+)?(?: \d{4})?|t\d{4,6}(?:[.,]\d+)?|\d{6}|[ap]m)\s*([+-])(\d{2}):?(\d{2})?$`)
	// bracketed is a zone's name behind its offset (RFC 9557): [Europe/Paris].
	bracketed = regexp.MustCompile(`\[[^\[\]]*\]$`)
	// blanks are of any width: JavaScript writes a narrow one before PM.
	blanks = regexp.MustCompile(`[\s\p{Zs}]+`)
	// half is the half of the day, in lower case or with points.
	half = regexp.MustCompile(`(?i)(\d ?)([ap])\.?m\b\.?`)
	// connected are the words and the commas that people write between a day and a time.
	connected = regexp.MustCompile(`(?i),? at |, `)
)

// Moment reads a moment. Where the text names no zone it is read as UTC, and zoned is
// false; a day without a time is its first moment.
func Moment(text string) (moment time.Time, zoned, ok bool) {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	if text == "" || len(text) > longest {
		return time.Time{}, false, false
	}
	if milliseconds, ok := wrapped(text); ok {
		return milliseconds, true, true
	}
	text, zone := zoneOf(normal(text))
	for _, layout := range clocks {
		if moment, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return moment.Add(-zone.offset), zone.stated, true
		}
	}
	for _, layout := range days {
		if moment, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return moment.Add(-zone.offset), zone.stated, true
		}
	}
	return time.Time{}, false, false
}

// normal is a text without what says nothing.
func normal(text string) string {
	text = strings.ReplaceAll(blanks.ReplaceAllString(text, " "), "\u2212", "-") // a minus that is no hyphen
	text = weekday.ReplaceAllString(text, "")
	text = comment.ReplaceAllString(text, "")
	text = bracketed.ReplaceAllString(text, "")
	text = monotonic.ReplaceAllString(text, "")
	text = connected.ReplaceAllString(text, " ")
	text = half.ReplaceAllStringFunc(text, func(found string) string { return strings.ToUpper(strings.ReplaceAll(found, ".", "")) })
	text = middle.ReplaceAllString(text, "$1 $3 $2")
	if len(text) > 10 && text[10] == 't' { // RFC 3339 section 5.6 allows it
		text = text[:10] + "T" + text[11:]
	}
	return strings.TrimSuffix(text, ".")
}

// zone is by how much a clock is ahead of UTC.
type zone struct {
	offset time.Duration
	stated bool
}

// zoneOf takes the zone off the end of a text.
func zoneOf(text string) (string, zone) {
	utc := named.FindStringSubmatch(text)
	if utc != nil {
		text = named.ReplaceAllString(text, "$1$2")
	}
	match := offset.FindStringSubmatchIndex(text)
	if match == nil {
		return text, zone{stated: utc != nil}
	}
	ahead := time.Duration(twoDigits(text[match[6]:match[7]])) * time.Hour
	if match[8] >= 0 {
		ahead += time.Duration(twoDigits(text[match[8]:match[9]])) * time.Minute
	}
	if text[match[4]] == '-' {
		ahead = -ahead
	}
	if ahead < -14*time.Hour || ahead > 14*time.Hour {
		return text, zone{} // there is no such zone
	}
	return text[:match[3]], zone{ahead, true}
}

func twoDigits(text string) int { return int(text[0]-'0')*10 + int(text[1]-'0') }
