// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func environment(t *testing.T) *expression.Environment {
	t.Helper()
	environment, err := expression.NewSigningEnvironment(
		expression.TextMap("app", []string{"key", "secret"}),
		expression.TextMap("login", nil),
		expression.TextMap("parameters", []string{"id", "scope", "the name"}),
		expression.AnyMap("outputs", []string{"region"}),
		expression.AnyMap("headers", nil),
		expression.Text("refreshToken"),
		expression.Timestamp("now"),
		expression.Integer("status"),
		expression.Any("body"),
		expression.TextMap("proof", nil),
		expression.UUID(),
	)
	if err != nil {
		t.Fatal(err)
	}
	return environment
}

func variables() map[string]any {
	return map[string]any{
		"app":              map[string]string{"key": "the-key", "secret": "the-secret"},
		"login":            map[string]string{},
		"parameters":       map[string]string{"id": "12"},
		"outputs":          map[string]any{"region": "eu"},
		"headers":          map[string]any{"x-a": "1"},
		"refreshToken":     "r1",
		"now":              time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		"status":           int64(200),
		"body":             map[string]any{"int": int64(7), "double": 2.5, "whole": 3600.0, "text": "canary-5ecret", "null": nil, "list": []any{int64(1), "a"}, "map": map[string]any{"k": "v"}},
		expression.UUIDKey: "u-u-i-d",
	}
}

func TestTemplateValue(t *testing.T) {
	t.Parallel()
	type want struct {
		Value   any
		Present bool
	}
	cases := map[string]struct {
		reason, source string
		want           want
	}{
		"plain text":                             {"text is itself", "a $ b { } c", want{"a $ b { } c", true}},
		"the empty text":                         {"nothing is a text too", "", want{"", true}},
		"an escaped expression":                  {"$${ writes ${", "a $${app.key} b", want{"a ${app.key} b", true}},
		"an expression in text":                  {"its text is put in", "Bearer ${refreshToken}!", want{"Bearer r1!", true}},
		"two expressions without text":           {"they join to a text", "${app.key}${app.secret}", want{"the-keythe-secret", true}},
		"a lone int":                             {"it keeps its type", "${int(parameters.id)}", want{int64(12), true}},
		"a lone bool":                            {"it keeps its type", "${status == 200}", want{true, true}},
		"a lone map of mixed values":             {"maps may be mixed", `${ {"a": 1, "b": "x", "c": [1, "y"]} }`, want{map[string]any{"a": int64(1), "b": "x", "c": []any{int64(1), "y"}}, true}},
		"a lone empty optional":                  {"it asks to be left out", "${parameters.?scope}", want{nil, false}},
		"an empty optional in text":              {"it is the empty text", "a${parameters.?scope}b", want{"ab", true}},
		"a full optional":                        {"it is its value", "${parameters.?id}", want{"12", true}},
		"a lone null":                            {"it is present, for JSON", `${body["null"]}`, want{nil, true}},
		"a map with an absent member":            {"the member is left out", `${ {?"a": parameters.?scope, "b": 1} }`, want{map[string]any{"b": int64(1)}, true}},
		"a brace in a string":                    {"braces in strings count for nothing", `${"}" + '{' + app.key}`, want{"}{the-key", true}},
		"a brace in a raw string":                {"a backslash ends no raw string", `${r"\}" + "x"}`, want{`\}x`, true}},
		"a brace in a triple-quoted string":      {"it may hold quotes", `${"""}"}""" + "x"}`, want{`}"}x`, true}},
		"a raw triple-quoted string":             {"both at once", `${r'''\}'}''' + "x"}`, want{`\}'}x`, true}},
		"an escaped quote":                       {"it does not end the string", `${"\"}" + "x"}`, want{`"}x`, true}},
		"bytes with a brace":                     {"a prefix b is no raw string", `${string(b"}\"") + "x"}`, want{`}"x`, true}},
		"a name that ends in r":                  {"it is no prefix", `${{"bar": "}"}.bar + "\"}"}`, want{`}"}`, true}},
		"a comment":                              {"braces in it count for nothing", "${app.key // }\n}", want{"the-key", true}},
		"uuid twice":                             {"it stays the same", "${uuid()} ${uuid()}", want{"u-u-i-d u-u-i-d", true}},
		"a double in text":                       {"a whole one has no exponent", "${body.whole * 1000000.0} ${body.double}", want{"3600000000 2.5", true}},
		"a timestamp in text":                    {"RFC 3339", "at ${now}", want{"at 2026-01-02T03:04:05Z", true}},
		"a bool in text":                         {"true or false", "${status == 200}?", want{"true?", true}},
		"bytes in text":                          {"as they are", "${b'x'}y", want{"xy", true}},
		"int and double compare":                 {"numbers compare across types", "${body.double > 2 && body.int < 7.5}", want{true, true}},
		"a comprehension whose variable shadows": {"the inner name is meant", `${[{"x": 1}].map(app, app.x)}`, want{[]any{int64(1)}, true}},
		"hmac over strings":                      {"RFC 2202, test case 2", `${hex.encode(hmac.sha1("Jefe", "what do ya want for nothing?"))}`, want{"effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", true}},
		"hmac over bytes":                        {"RFC 4231, test case 2", `${hex.encode(hmac.sha256(b"Jefe", b"what do ya want for nothing?"))}`, want{"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", true}},
		"hashes":                                 {"of the empty text", `${hex.encode(hash.md5("")) + hex.encode(hash.sha1(b""))}`, want{"d41d8cd98f00b204e9800998ecf8427eda39a3ee5e6b4b0d3255bfef95601890afd80709", true}},
		"sha512":                                 {"64 bytes", `${size(hash.sha512("x")) + size(hmac.sha512("k", b"x"))}`, want{int64(128), true}},
		"base64url":                              {"no padding, both ways", `${base64url.encode(b"\xff\xfe\xfd\xfc") + string(base64url.decode("aGk="))}`, want{"__79_Ahi", true}},
		"base64url of standard base64":           {"both alphabets are read", `${base64url.decode("+/8") == base64url.decode("-_8=")}`, want{true, true}},
		"url.escape":                             {"nothing is left that means something", `${url.escape("a b&c=/?+ü")}`, want{"a%20b%26c%3D%2F%3F%2B%C3%BC", true}},
		"url.unescape":                           {"a plus stays, as it does outside forms", `${url.unescape("a%20b%26c%3D%2F%3F%2B%C3%BC+d")}`, want{"a b&c=/?+ü+d", true}},
		"json.encode":                            {"sorted, without HTML escapes", `${json.encode({"b": [1, 2.0, 2.5, true, null], "a": "<&>"})}`, want{`{"a":"<&>","b":[1,2,2.5,true,null]}`, true}},
		"json.decode":                            {"numbers keep their kind, big ones their digits", `${json.decode('{"a": [1, 1.5, 12345678901234567890]}').a}`, want{[]any{int64(1), 1.5, "12345678901234567890"}, true}},
		"jwt.claims":                             {"standard base64 with padding is read", `${jwt.claims("eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE0MTQxNDk5NTYsInN1YiI6IjExMDU1OCJ9==.x").exp}`, want{int64(1414149956), true}},
		"string extensions":                      {"cel-go's", `${"A-B".lowerAscii().split("-")[1]}`, want{"b", true}},
		"math extensions":                        {"cel-go's", `${math.least(3, 2)}`, want{int64(2), true}},
		"encoder extensions":                     {"cel-go's", `${base64.encode(bytes(app.key))}`, want{"dGhlLWtleQ==", true}},
		"a field by index":                       {"any name of a field", `${parameters[?"the name"].orValue("none") + app["key"]}`, want{"nonethe-key", true}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := environment(t).Template("field", c.source)
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			value, present, err := template.Value(variables())
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, want{value, present}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// aField is what is said of a name that is not known, where there is a reply.
func aField(name string) string {
	return "a field of the reply is written body." + name + " (known here: app, body, headers, login, now, outputs, parameters, refreshToken, status, uuid())"
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, source, want string }{
		"an unknown variable":             {"it is named at its place", "${foo}", "field:1:3: undeclared reference to 'foo': " + aField("foo")},
		"an unknown variable after text":  {"columns count in the field's text", "Bearer ${foo}", "field:1:10: undeclared reference to 'foo': " + aField("foo")},
		"characters of several bytes":     {"columns count characters", "ü€ ${foo}", "field:1:6: undeclared reference to 'foo': " + aField("foo")},
		"a line below":                    {"lines count in the field's text", "a\nb ${\n  foo}", "field:3:3: undeclared reference to 'foo': " + aField("foo")},
		"two problems":                    {"both are told", "${foo} ${bar}", "field:1:3: undeclared reference to 'foo': " + aField("foo") + "\nfield:1:10: undeclared reference to 'bar': " + aField("bar")},
		"an unknown field":                {"a typo is found", "x ${app.kee}", "field:1:8: undeclared field 'kee' of app (it has key, secret): did you mean key?"},
		"an unknown optional field":       {"optional or not", "${app.?kee}", "field:1:6: undeclared field 'kee' of app (it has key, secret): did you mean key?"},
		"an unknown field by index":       {"written this way too", `${app["kee"]}`, "field:1:6: undeclared field 'kee' of app (it has key, secret): did you mean key?"},
		"an unknown optional index":       {"written this way too", `${app[?"kee"]}`, "field:1:6: undeclared field 'kee' of app (it has key, secret): did you mean key?"},
		"an unknown field in has":         {"it can never be there", `${has(outputs.regoin)}`, "field:1:6: undeclared field 'regoin' of outputs (it has region): did you mean region?"},
		"an unknown key in in":            {"it can never be there", `${"regoin" in outputs}`, "field:1:12: undeclared field 'regoin' of outputs (it has region): did you mean region?"},
		"a field of a map without any":    {"none is declared", `${login.email}`, "field:1:8: undeclared field 'email' of login (it has none)"},
		"an expression that does not end": {"where it begins", "ab ${1 + ", "field:1:4: '${' is not closed: end the expression with '}', or write '$${' for the characters '${'"},
		"a string that does not end":      {"the brace is in it", `${"a}`, "field:1:3: the text that begins here is not closed: end it with \""},
		"an empty expression":             {"nothing to do", "${ }", "field:1:3: the expression is empty"},
		"a wrong type":                    {"types are checked", `${1 + "a"}`, "field:1:5: '+' cannot be applied to int and string: make both texts, as in string(value), or both numbers, as in int(value)"},
		"a wrong regular expression":      {"literals are checked", `${app.key.matches("[")}`, "field:1:18: it is not a regular expression (RE2)"},
		"a loop in a loop in a loop":      {"cost is bounded", `${body.a.all(x, body.b.all(y, body.c.all(z, x == y)))}`, "field:1:3: may cost too much (an estimated 1803907246082 of at most 1000000): nest fewer loops"},
		"a variable without a value":      {"why is told, at its place", "x ${1 + size(proof.a)}", "field:1:14: proof is for others"},
		"... as a whole":                  {"why is told, at its place", "${proof}", "field:1:3: proof is for others"},
		"... by an optional field":        {"why is told, at its place", "${proof.?a}", "field:1:3: proof is for others"},
		"uuid with an argument":           {"it takes none", `${uuid(1)}`, "field:1:3: undeclared reference to 'uuid': uuid() takes no arguments"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := environment(t).With(expression.TextMap("proof", nil).Refused("proof is for others")).Template("field", c.source)
			if err == nil {
				t.Fatalf("%s: it compiles", c.reason)
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			var problem *expression.Error
			if !errors.As(err, &problem) {
				t.Errorf("%T is no *expression.Error", err)
			}
		})
	}
}

func TestSyntaxErrorsAreAtTheirPlace(t *testing.T) {
	t.Parallel()
	_, err := environment(t).Template("field", "abc ${app.key +}")
	var problem *expression.Error
	if !errors.As(err, &problem) || problem.Line != 1 || problem.Column < 7 {
		t.Errorf("got %v, want a place inside the expression", err)
	}
}

func TestResultTypesAreChecked(t *testing.T) {
	t.Parallel()
	e := environment(t)
	cases := map[string]struct {
		compile func(field, source string) (*expression.Expression, error)
		source  string
		want    string
	}{
		"a condition":                    {e.Condition, "status == 200 && !has(body.error)", ""},
		"a condition of unknown type":    {e.Condition, "body.ok", ""},
		"an optional condition":          {e.Condition, "body.?ok", ""},
		"a text is no condition":         {e.Condition, `"yes"`, "field:1:1: gives string where bool is needed"},
		"a number is a scalar":           {e.Scalar, "status", ""},
		"an optional text is a scalar":   {e.Scalar, "app.?key", ""},
		"a condition is no scalar":       {e.Scalar, "status == 200", "field:1:1: gives bool where string or int or uint or double is needed"},
		"a duration is a lifetime":       {e.Lifetime, `duration("5m")`, ""},
		"a list is no lifetime":          {e.Lifetime, "[1]", "field:1:1: gives list(int) where duration or timestamp or string or int or uint or double is needed"},
		"so is a timestamp":              {e.Lifetime, `now + duration("5m")`, ""},
		"anything is a plain expression": {e.Expression, `{"a": [1]}`, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.compile("field", c.source)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEvaluationErrorsHoldNoValue(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an expression that fails on a secret")
	cases := map[string]struct{ reason, source, want string }{
		"a missing field":      {"the expression names it, so it may be told", "a ${parameters.scope}", "field:1:15: parameters.scope is missing"},
		"a missing key":        {"the key is a value", "${headers[body.text]}", "field:1:10: a key that it names is missing"},
		"a number of a secret": {"strconv quotes its input", "${int(body.text)}", "field:1:6: a value cannot be converted"},
		"a time of a secret":   {"time.Parse quotes its input", "${timestamp(body.text)}", "field:1:12: a value cannot be converted"},
		"a wrong type":         {"types are told in general", "${body.text + 1}", "field:1:13: a value is of another type than it needs"},
		"an index":             {"the list is shorter", "${body.list[5]}", "field:1:12: the list is shorter"},
		"an empty optional":    {"it has no value", "${body.?gone.value()}", "field:1:19: an optional value is empty"},
		"a bad base64":         {"the function's own words", "${string(base64url.decode(body.text + '!'))}", "field:1:26: a value is not base64"},
		"a bad JWT":            {"the function's own words", "${jwt.claims(body.text)}", "field:1:13: a value is not a JWT"},
		"a bad escape":         {"the function's own words", "${url.unescape(body.text + '%zz')}", "field:1:15: a value is not escaped as in a URL"},
		"bytes, escaped":       {"a text is UTF-8", "${url.unescape(body.text + '%ff')}", "field:1:15: a value is not escaped as in a URL"},
		"a bad JSON":           {"the function's own words", "${json.decode(body.text)}", "field:1:14: a value is not JSON"},
		"a bad PEM":            {"the key is not told", `${jwt.sign("RS256", body.text, {"a": 1})}`, "field:1:11: the key of a JWT must be an unencrypted private key in PEM (PKCS #8, PKCS #1 or SEC 1), and has no -----BEGIN line"},
		"a bad algorithm":      {"nothing unsigned", `${jwt.sign("none", body.text, {"a": 1})}`, "field:1:11: the algorithm of a JWT must be one of HS, RS, PS, ES with 256, 384 or 512, or EdDSA"},
		"a list in text":       {"what to do is told", "x ${body.list}", "field:1:5: it gives a list or a map where a text is needed (json.encode makes one)"},
		"a division":           {"by zero", "${1 / (status - 200)}", "field:1:5: division by zero"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := environment(t).Template("field", c.source)
			if err != nil {
				t.Fatal(err)
			}
			_, present, err := template.Text(variables())
			if err == nil || present {
				t.Fatalf("%s: no error", c.reason)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error quotes a value: %v", err)
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestCostIsBoundedWhenItRuns(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an expression that costs too much for the values at hand")
	compiled, err := environment(t).Condition("field", "body.list.all(x, x == body.text)")
	if err != nil {
		t.Fatal(err)
	}
	list := make([]any, 12_000)
	for i := range list {
		list[i] = "a"
	}
	_, _, err = compiled.Value(map[string]any{"body": map[string]any{"list": list, "text": "a"}})
	if err == nil || !strings.Contains(err.Error(), "it costs too much for the values at hand") {
		t.Errorf("a body larger than the estimate assumes: got %v", err)
	}
}

func TestTextLeavesOutNullAndEmptyOptionals(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{`${body["null"]}`: false, "${parameters.?scope}": false, "${parameters.?id}": true, "": true} {
		template, err := environment(t).Template("field", source)
		if err != nil {
			t.Fatal(err)
		}
		if _, present, err := template.Text(variables()); err != nil || present != want {
			t.Errorf("%q: present is %v (%v), want %v", source, present, err, want)
		}
	}
}

func TestUsesTellsWhichVariablesAndFields(t *testing.T) {
	t.Parallel()
	template, err := environment(t).Template("field", `${app.key} ${parameters.?scope} ${[1].map(status, status)} ${json.encode(outputs)}`)
	if err != nil {
		t.Fatal(err)
	}
	if !template.Uses("app") || template.Uses("refreshToken") || template.Uses("status") {
		t.Error("it uses app, not refreshToken, and a status of its own")
	}
	if fields, whole := template.Fields("parameters"); whole || !cmp.Equal(fields, []string{"scope"}) {
		t.Errorf("parameters: %v, %v", fields, whole)
	}
	if _, whole := template.Fields("outputs"); !whole {
		t.Error("outputs are used as a whole")
	}
}

func TestJSONKeepsEveryByte(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"valid text":                         `ok <&> ü`,
		"bytes that are not UTF-8":           "a\xff\xfe\x80b",
		"an escape character with bad bytes": "\U0010FF41 \xff \U0010FFFF",
		"a surrogate in UTF-8":               "\xed\xa0\x80",
	} {
		encoded, err := jsontext.Encode(map[string]any{"k": text})
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"k":"` + text + `"}`; string(encoded) != want {
			t.Errorf("%s: encoded as %q, want %q", name, encoded, want)
		}
		decoded, _, err := jsontext.Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{"k": text}, decoded); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
