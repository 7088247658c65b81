// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"encoding/json"
	"html"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const both = `{"access_token":"a","refresh_token":"next"`

func TestTokensAreSalvagedFromAReplyThatIsNotWhole(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "tokens in a reply that breaks off")
	cases := map[string]struct {
		reason   string
		body     string
		cutShort bool
		want     tokens
	}{
		"cut short behind the tokens": {
			"they are whole, and are nowhere else; nothing else of the reply counts",
			both + `,"expires_in":36`, true, tokens{"OutcomeUnknown", "a", "next"},
		},
		"cut short inside the refresh token": {
			"half a token is none",
			`{"access_token":"a","refresh_token":"nex`, true, tokens{"OutcomeUnknown", "a", ""},
		},
		"cut short inside the access token": {
			"half a token is none",
			`{"access_token":"a`, true, tokens{Reason: "OutcomeUnknown"},
		},
		"cut short, and the token is the one that was sent": {
			"it says nothing of what became of it",
			`{"refresh_token":"canaryRefresh0"`, true, tokens{Reason: "OutcomeUnknown"},
		},
		"broken by the provider itself": {
			"a reply that was announced shorter than it is, is not whole either",
			both + `,"expires_`, false, tokens{"OutcomeUnknown", "a", "next"},
		},
		"a name without quotes": {
			"what no parser takes may come with every reply",
			both + `,x:1}`, false, tokens{"OutcomeUnknown", "a", "next"},
		},
		"a line feed in a text before the tokens, and cut short": {
			"what can be mended is, and what is whole is kept",
			"{\"note\":\"a\nb\"," + both[1:] + `,"expires_in":36`, true, tokens{"OutcomeUnknown", "a", "next"},
		},
		"behind a prefix": {
			"what comes before the first brace does not matter",
			"#" + both, true, tokens{"OutcomeUnknown", "a", "next"},
		},
		"behind a warning with braces of its own": {
			"JSON is looked for at each place where it may begin",
			"Warning: {main} [5] {} in {closure}\n" + both, true, tokens{"OutcomeUnknown", "a", "next"},
		},
		"too deep to be read": {
			"the token lies beside what is too deep",
			`{"x":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `,"refresh_token":"next"}`, false,
			tokens{Reason: "OutcomeUnknown", Refresh: "next"},
		},
		"a form that was cut short": {
			"nothing shows where the last value of a form ends, so half a token could be taken for one",
			`access_token=a&refresh_token=nex`, true, tokens{"OutcomeUnknown", "a", ""},
		},
		"a form that was cut short behind the tokens": {
			"a pair that another follows is whole",
			`access_token=a&refresh_token=next&expires_in=36`, true, tokens{"OutcomeUnknown", "a", "next"},
		},
		"a form of one pair that was cut short": {
			"half a token could be taken for one",
			`refresh_token=nex`, true, tokens{Reason: "OutcomeUnknown"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome := compiled(t, singleUse).Refresh.Begin(inputs(), now, "id").
				Read(provider.Reply{Status: 200, Body: []byte(c.body), CutShort: c.cutShort})
			if diff := cmp.Diff(c.want, brought(outcome)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestAnImperfectFrameCostsNoToken has frames as people met them around a reply that is
// whole: a PHP server that shows its warnings, a proxy that counts wrongly.
func TestAnImperfectFrameCostsNoToken(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "tokens in an imperfect frame")
	const (
		whole  = both + `,"expires_in":60}`
		amid   = "the frame of the provider's reply is wrong: its JSON stands in the midst of other text"
		follow = "the frame of the provider's reply is wrong: other text follows its JSON"
		byHand = "the frame of the provider's reply is wrong: its JSON is not valid, and was read as it is most likely meant"
		ended  = "the frame of the provider's reply is wrong: it ended before the end that was announced, and behind what it holds"
	)
	utf16Of := func(text string) string {
		body := []byte{0xff, 0xfe}
		for _, unit := range utf16.Encode([]rune(text)) {
			body = append(body, byte(unit), byte(unit>>8))
		}
		return string(body)
	}
	utf16Bare := func(text string) string { return utf16Of(text)[2:] }
	encoded, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason   string
		body     string
		cutShort bool
		remark   string
	}{
		"JSON that was encoded twice":         {"a framework encodes what an action has encoded", string(encoded), false, amid},
		"JSON in a page, with escaped quotes": {"a framework that escapes what it shows", "<pre>" + html.EscapeString(whole) + "</pre>", false, amid},
		"JSON in XML":                         {"an old web service", `<?xml version="1.0"?><string xmlns="http://x.example/">` + whole + `</string>`, false, amid},
		"headers before it":                   {"a gateway that sends them twice", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + whole, false, amid},
		"chunks that were not undone":         {"a proxy that forgets half of its work", "4c\r\n" + whole + "\r\n0\r\n\r\n", false, amid},
		"an event":                            {"a server that streams", "data: " + whole + "\n\n", false, amid},
		"zeros behind it":                     {"a buffer that was sent whole", whole + "\x00\x00\x00", false, follow},
		"a list around it":                    {"a server that answers in lists", "[" + whole + "]", false, "the frame of the provider's reply is wrong: its JSON is a list where an object is wanted"},
		"a line feed in a text":               {"JSON that was written by hand", "{\"note\":\"a\nb\"," + whole[1:], false, byHand},
		"an escape that there is not":         {"JSON that was written by hand", `{"note":"it\'s",` + whole[1:], false, byHand},
		"a comma too many":                    {"JSON that was written by hand", both + `,"expires_in":60,}`, false, byHand},
		"UTF-16 without a mark":               {"an old server of Windows", utf16Bare(whole), false, ""},
		"announced longer than it is":         {"JSON shows its own end", whole, true, ended},
		"a warning before it":                 {"a server that shows its warnings", "<br />\n<b>Warning</b>:  Undefined array key \"x\" in <b>/srv/token.php</b> on line <b>3</b><br />\n" + whole, false, amid},
		"a stack trace before it":             {"braces that hold no JSON", "Notice: x in {closure}()\n#0 {main}\n" + whole, false, amid},
		"JSON without a token first":          {"what holds the tokens counts", `{"level":"warning"}` + "\n" + whole, false, amid},
		"a page around it":                    {"a gateway's wrapping", "<html><body><pre>" + whole + "</pre></body></html>", false, amid},
		"a page behind it":                    {"a gateway's footer", whole + "<html></html>", false, follow},
		"a guard against scripts":             {"as some servers send before all JSON", ")]}',\n" + whole, false, amid},
		"a loop against scripts":              {"as some servers send before all JSON", "while(1);" + whole, false, amid},
		"the prefix twice":                    {"it is stripped once, and the rest is other text", "##" + whole, false, amid},
		"JSONP":                               {"it is a notation", "cb(" + whole + ")", false, ""},
		"JSONP behind a comment":              {"as frameworks write it", "/**/cb(" + whole + ");", false, ""},
		"a warning, and cut short":            {"both at once", "Warning: x\n" + whole, true, amid + ", and it ended before the end that was announced, and behind what it holds"},
		"UTF-16":                              {"a byte order mark says so", utf16Of(whole), false, ""},
		"a form in a text":                    {"a warning before it", "Warning: a=b\naccess_token=a&refresh_token=next&expires_in=60\n", false, "the frame of the provider's reply is wrong: its form stands in the midst of other text"},
		"a form in a page":                    {"a gateway's wrapping", "<p>access_token=a&refresh_token=next&expires_in=60</p>", false, "the frame of the provider's reply is wrong: its form stands in the midst of other text"},
		"a form before text, and cut short":   {"white space shows its end", "access_token=a&refresh_token=next&expires_in=60\n<ht", true, "the frame of the provider's reply is wrong: its form stands in the midst of other text, and it ended before the end that was announced, and behind what it holds"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome := compiled(t, strings.Replace(singleUse, `"#"`, `""`, 1)).Refresh.Begin(inputs(), now, "id").
				Read(provider.Reply{Status: 200, Body: []byte(c.body), CutShort: c.cutShort})
			if diff := cmp.Diff(tokens{"Refreshed", "a", "next"}, brought(outcome)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if outcome.Remark != c.remark {
				t.Errorf("the remark is %q, want %q", outcome.Remark, c.remark)
			}
			if life := outcome.Grant.Lifetime(); life.Seconds() != 60 && !c.cutShort {
				t.Errorf("the lifetime is %s", life)
			}
		})
	}
}

func TestARefusalInAnImperfectFrameIsARefusal(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"behind a warning": "Warning: {main}\n" + `{"error":"invalid_grant"}`,
		"before a footer":  `{"error":"invalid_grant"}<!-- 3 ms -->`,
	} {
		outcome := read(t, singleUse, 400, body)
		if outcome.Reason != "ReauthorizationRequired" {
			t.Errorf("%s: %s, %s", name, outcome.Reason, outcome.Message)
		}
	}
	outcome := compiled(t, singleUse).Refresh.Begin(inputs(), now, "id").
		Read(provider.Reply{Status: 400, Body: []byte(`{"error":"invalid_grant"}`), CutShort: true})
	if outcome.Reason != "ReauthorizationRequired" {
		t.Errorf("announced longer than it is: %s, %s", outcome.Reason, outcome.Message)
	}
}

func TestATokenMayBeTheWholeReply(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a token that is the whole reply")
	lone := `
login:
  request: {url: "https://x.example/token"}
  response: {accessToken: body}
`
	for body, want := range map[string]string{
		`"tok"`:             "tok",
		" \"tok\"\n":        "tok",
		"\ufeff\"tok\"":     "tok",
		`"t\u006fk"`:        "tok",
		`tok`:               "tok",
		`tok==`:             "tok==",
		`123`:               "123",
		`00123`:             "00123",
		`null`:              "",
		`true`:              "",
		`""`:                "",
		`"tok" and more`:    `"tok" and more`,
		`"tok`:              `"tok`,
		`cb("tok");`:        "tok",
		`eyJhbGciOi.e30.c2`: "eyJhbGciOi.e30.c2",
	} {
		outcome := compiled(t, lone).Login.Begin(inputs(), now, "id").Read(provider.Reply{Status: 200, Body: []byte(body)})
		if got := outcome.Grant.AccessToken.Reveal(); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestAListMayBeTheRoot(t *testing.T) {
	t.Parallel()
	list := strings.NewReplacer("body.access_token", "body[0].access_token", "body.?refresh_token", "body[0].?refresh_token").Replace(singleUse)
	for name, c := range map[string]struct {
		body string
		want tokens
	}{
		"whole":            {`[` + both + `}]`, tokens{"Refreshed", "a", "next"}},
		"behind a warning": {`Warning: x[3]` + "\n" + `[` + both + `}]`, tokens{"Refreshed", "a", "next"}},
		"broken":           {`[` + both + `},`, tokens{"OutcomeUnknown", "a", "next"}},
	} {
		if diff := cmp.Diff(c.want, brought(read(t, list, 200, c.body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
