// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package hint_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

func environment(t *testing.T) *expression.Environment {
	t.Helper()
	environment, err := expression.NewEnvironment(
		expression.TextMap("app", []string{"key", "secret"}), expression.TextMap("parameters", []string{"scope", "redirectURI"}),
		expression.AnyMap("headers", nil), expression.Text("refreshToken"), expression.Timestamp("now"), expression.Integer("status"), expression.Any("body"),
		expression.UUID(), expression.Elsewhere("claims", "known only in a dream"),
	)
	if err != nil {
		t.Fatal(err)
	}
	return environment
}

// TestSlipsAreRecognized writes what people write who know another language, and wants
// the place and what to write instead.
func TestSlipsAreRecognized(t *testing.T) {
	t.Parallel()
	const null = "write null, or ask whether a field is there: has(body.error)"
	for source, want := range map[string]string{
		// Where CEL is meant alone.
		"${body.a}":         "1:1: this field is CEL: write it without `${ }`",
		"  ${body.a} == 1":  "1:3: this field is CEL: write it without `${ }`",
		"status == ${code}": "1:11: this field is CEL: write it without `${ }`",
		"{{ .body }}":       "1:1: '{{ }}' is another template language: write CEL alone",
		"$.access_token":    "1:1: this is JSONPath: write body in place of '$', as in body.access_token",
		`$["access_token"]`: "1:1: this is JSONPath: write body in place of '$', as in body.access_token",
		".access_token":     "1:2: undeclared reference to '.access_token': a field of the reply is written body.access_token",
		"$body.a":           "1:1: a variable is written without '$'",
		// Operators.
		"status = 200":                  "1:8: '=' is no comparison: write '=='",
		"status == 200 &&\nbody.a = 1":  "2:8: '=' is no comparison: write '=='",
		"status === 200":                "1:8: write '=='",
		"status !== 200":                "1:8: write '!='",
		"status >== 200":                "1:8: one '=' too many",
		"status <> 200":                 "1:8: write '!=' in place of '<>'",
		"status => 200":                 "1:8: there is no '=>': 'at least' is '>=', and a loop is list.map(x, x.name)",
		"status == 200 & body.ok":       "1:15: a single '&' is no operator: write '&&'",
		"status == 200 | body.ok":       "1:15: a single '|' is no operator: write '||'",
		"status == 200 and body.ok":     "1:15: write '&&' in place of 'and'",
		"status == 200 OR body.ok":      "1:15: write '||' in place of 'or'",
		"not body.ok":                   "1:1: write '!' in place of 'not', as in !has(body.error) or !(status in [200, 201])",
		"status not in [200]":           "1:8: write '!' in place of 'not', as in !has(body.error) or !(status in [200, 201])",
		"body.a is null":                "1:8: write '==' in place of 'is'",
		"status in (200, 201)":          "1:8: a list is written in [ ], as in status in [200, 201]",
		`"a" if body.ok else "b"`:       "1:5: there is no 'if': write condition ? this : that",
		`body.ok ? "a"`:                 "1:14: the expression ends without ':': write condition ? this : that",
		`body.a ?? "x"`:                 `1:8: there is no '??': write body.?name.orValue("other")`,
		"body?.a":                       "1:5: the question mark comes behind the dot: write body.?name",
		"body.a?":                       "1:8: a field that may be missing has its question mark behind the dot: write body.?name",
		"body->a":                       "1:5: write '.' in place of '->'",
		`body.a =~ "x"`:                 "1:8: there is no '=~': write text.matches('^a+$')",
		"body.a;":                       "1:7: an expression has no ';': leave it out",
		"body..a":                       "1:5: one dot too many",
		"body.a ==":                     "1:10: the expression ends too early: something is missing at its end",
		"status == 200,":                "1:14: ',' is not expected here: an operator is missing before it, or it is left over",
		"a = 1 and b = 2 or c":          "1:3: '=' is no comparison: write '=='\nfield:1:7: write '&&' in place of 'and'\nfield:1:17: write '||' in place of 'or'",
		"body.a ~ 1":                    "1:8: '~' means nothing in CEL",
		"// a comment with an = alone":  "1:29: the expression ends too early: something is missing at its end",
		`body.a == "x = y & z" status`:  "1:23: 'status' is not expected here: an operator is missing before it, or it is left over",
		"body.?a.or(body.?b) && status": "1:11: bool is needed here, and this may be missing: add .orValue(...)\nfield:1:24: bool is needed here, and this gives int",
		// Brackets and quotes.
		`body.a == "x`:          `1:11: the text that begins here is not closed: end it with "`,
		`body['a]`:              `1:6: the text that begins here is not closed: end it with '`,
		"(status == 200":        "1:1: '(' is not closed",
		"status == 200)":        "1:14: ')' closes nothing that is open here",
		`body["a"`:              "1:5: '[' is not closed",
		`!has(body.a && (1==1)`: "1:5: '(' is not closed",
		`body.a == “x”`:         `1:11: write straight quotes, ' or "`,
		"`body`":                `1:1: write a text in quotes, as in "text"`,
		`app.key.matches("\d")`: `1:18: '\d' is no escape of a text: write '\\d', or r before the quotes, as in r'\d+'`,
		// Names.
		"refreshTokn":               "1:1: undeclared reference to 'refreshTokn': did you mean refreshToken?",
		"refresh_token":             "1:1: undeclared reference to 'refresh_token': did you mean refreshToken?",
		"stauts == 200":             "1:1: undeclared reference to 'stauts': did you mean status?",
		"redirectURI":               "1:1: undeclared reference to 'redirectURI': did you mean parameters.redirectURI?",
		"clientId":                  "1:1: undeclared reference to 'clientId': did you mean app.key?",
		"parameters.redirectURL":    "1:11: undeclared field 'redirectURL' of parameters (it has redirectURI, scope): did you mean redirectURI?",
		"claims.exp":                "1:1: undeclared reference to 'claims': known only in a dream",
		"body.error == nil":         "1:15: undeclared reference to 'nil': " + null,
		"body.error != None":        "1:15: undeclared reference to 'None': " + null,
		"body.ok == True":           "1:12: undeclared reference to 'True': write true in lower case",
		"headers.Retry-After":       `1:15: undeclared reference to 'After': a name with '-' is written in brackets, as in headers["retry-after"]`,
		"{scope: 1}":                "1:2: undeclared reference to 'scope': write the key of a map in quotes",
		"uuid":                      "1:1: undeclared reference to 'uuid': write uuid()",
		"now()":                     "1:1: undeclared reference to 'now': now is a value: write it without ( )",
		"refreshToken.x":            "1:13: refreshToken is of type string, which has no fields",
		"app.key.size == 1":         "1:8: app.key is of type string, which has no fields: write size(app.key)",
		"has(body)":                 `1:5: has asks for a field of a map: write has(body.error), or "a name" in body`,
		"hash.sha265(app.key)":      "1:1: undeclared reference to 'hash.sha265': did you mean hash.sha256?",
		"hmac.sh1(app.key, body.a)": "1:1: undeclared reference to 'hmac.sh1': did you mean hmac.sha1?",
		"app.key.containss('a')":    "1:9: undeclared reference to 'containss': did you mean contains?",
		"jwt.sign('a', 'b', {})":    "1:1: undeclared reference to 'jwt.sign': known only in a request of a provider",
		// Functions of other languages.
		"len(app.key)":           "1:1: undeclared reference to 'len': write size(value)",
		"body.a.toLowerCase()":   "1:8: undeclared reference to 'toLowerCase': write text.lowerAscii()",
		"contains(app.key, 'a')": "1:9: contains is called behind a dot: write text.contains(...)",
		"JSON.parse(body.a)":     "1:1: undeclared reference to 'JSON.parse': write json.decode(text)",
		"base64(app.key)":        "1:1: undeclared reference to 'base64': write base64.encode(bytes(text))",
		"hmac_sha256('a', 'b')":  "1:1: undeclared reference to 'hmac_sha256': write hex.encode(hmac.sha256(key, message))",
		"exists(body.a)":         "1:1: undeclared reference to 'exists': write has(body.name)",
		"time.now()":             "1:1: undeclared reference to 'time.now': write now",
		"frobnicate(1)":          "1:1: undeclared reference to 'frobnicate': there is no such function",
		// Types.
		`status == "200"`:     "1:8: '==' cannot be applied to int and string: write 200 without quotes",
		`status in "200"`:     "1:8: 'in' cannot be applied to int and string: it looks into a list or a map; text.contains(part) looks into a text",
		`"a" + status`:        "1:5: '+' cannot be applied to string and int: make both texts, as in string(value), or both numbers, as in int(value)",
		"now + 300":           `1:5: '+' cannot be applied to timestamp and int: write a duration, as in now + duration("300s"), or seconds, as in int(now) + 300`,
		"!status":             "1:1: '!' takes true or false, not int: compare it, as in !(value == 1)",
		`now + duration("5")`: `1:16: this is no duration: write one such as duration("90s") or duration("1h30m")`,
	} {
		_, err := environment(t).Expression("field", source)
		if err == nil {
			t.Errorf("%s: it compiles", source)
			continue
		}
		if diff := cmp.Diff("field:"+want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
		for _, word := range []string{"expecting", "<EOF>", "IDENTIFIER", "token recognition", "mismatched", "extraneous", "overload", "viable"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: the parser's own word %q is left in: %v", source, word, err)
			}
		}
	}
}

func TestSlipsInATemplate(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"Bearer ${ ${refreshToken} }":  "field:1:11: inside of '${ }' write CEL alone, without another '${'",
		"a\nb ${refreshTokn}":          "field:2:5: undeclared reference to 'refreshTokn': did you mean refreshToken?",
		"${refreshToken":               "field:1:1: '${' is not closed: end the expression with '}', or write '$${' for the characters '${'",
		`ab ${app["key]}`:              `field:1:10: the text that begins here is not closed: end it with "`,
		"${app.key | base64}":          "field:1:11: a single '|' is no operator: write '||'",
		"${status = 1} ${status == 1}": "field:1:10: '=' is no comparison: write '=='",
	} {
		_, err := environment(t).Template("field", source)
		if err == nil {
			t.Errorf("%s: it compiles", source)
			continue
		}
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}
