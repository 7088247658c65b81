// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func repeat(text string, times int) string { return strings.Repeat(text, times) }

// ones is a list of so many ones.
func ones(count int) string { return "[" + strings.TrimSuffix(repeat("1,", count), ",") + "]" }

func TestWhatIsWrittenIsBounded(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "regular expressions that take seconds")
	loop := func(uses int) string {
		return `${body.list.map(x, [` + strings.TrimSuffix(repeat("x,", uses), ",") + `])}`
	}
	matches := func(count int) string {
		return `${` + strings.TrimSuffix(repeat(`refreshToken.matches("a")||`, count), "||") + `}`
	}
	for name, c := range map[string]struct {
		reason, text, want string // "": it compiles
	}{
		"a text of the size allowed":           {"the bound is inclusive", repeat("x", expression.MaxTemplate), ""},
		"a text of one byte too many":          {"what was found and what is allowed", repeat("x", expression.MaxTemplate+1), "field:1:1: has 8193 bytes, of at most 8192: make it shorter"},
		"an expression of the size allowed":    {"the bound is inclusive", `${"` + repeat("x", expression.MaxExpression-2) + `"}`, ""},
		"an expression of one byte too many":   {"it is not even parsed", `${"` + repeat("x", expression.MaxExpression-1) + `"}`, "field:1:3: the expression has 4097 bytes, of at most 4096: make it shorter"},
		"as many expressions as allowed":       {"the bound is inclusive", repeat("${1}", 64), ""},
		"one expression too many":              {"each takes memory once compiled", repeat("${1}", 65), "field:1:1: has 65 expressions, of at most 64: use fewer"},
		"as many nodes as allowed":             {"the bound is inclusive", `${` + ones(999) + `}`, ""},
		"one node too many":                    {"each takes memory once compiled", `${` + ones(1000) + `}`, "expression node"},
		"as deep as allowed":                   {"the bound is inclusive", `${` + repeat("[", 10) + repeat("]", 10) + `}`, ""},
		"one level too deep":                   {"CEL's checker would take more and more", `${` + repeat("[", 11) + repeat("]", 11) + `}`, "field:1:3: nests lists, maps, loops and optional.of 11 deep, of at most 10: take it apart"},
		"240 deep":                             {"it took the checker a gigabyte", `${` + repeat("[", 240) + repeat("]", 240) + `}`, "field:1:3: "},
		"optional values in optional values":   {"they nest as lists do", `${` + repeat("optional.of(", 11) + "1" + repeat(")", 11) + `}`, "nests lists, maps, loops and optional.of 11 deep"},
		"as many loops as allowed":             {"the bound is inclusive", `${body.list` + repeat(".map(x, x)", 4) + `}`, ""},
		"one loop too many":                    {"each may multiply what the one before gave", `${body.list` + repeat(".map(x, x)", 5) + `}`, "field:1:3: has 5 loops, of at most 4 (all, exists, map, filter, optMap): use fewer"},
		"as many uses of a loop's as allowed":  {"the bound is inclusive", loop(16), ""},
		"one use too many":                     {"each may double what comes next", loop(17), "field:1:3: names the variables of its loops 17 times, of at most 16: use them less often"},
		"optMap is a loop":                     {"it binds a variable", `${body.?list` + repeat(".optMap(x, [x])", 5) + `}`, "has 5 loops"},
		"as many regular expressions":          {"the bound is inclusive", matches(4), ""},
		"one regular expression too many":      {"each takes time and memory", matches(5), "field:1:3: has 5 regular expressions, of at most 4: join them with '|'"},
		"a regular expression of 1 KiB":        {"the bound is inclusive", `${refreshToken.matches("` + repeat("a", 1<<10) + `")}`, ""},
		"a regular expression of a byte more":  {"what was found and what is allowed", `${refreshToken.matches("` + repeat("a", 1<<10+1) + `")}`, "the regular expression has 1025 bytes, of at most 1024"},
		"a regular expression of many steps":   {"what counts is what it stands for", `${refreshToken.matches("a{664}")}`, ""},
		"a regular expression of more steps":   {"what was found and what is allowed", `${refreshToken.matches("(a{500}){2}b{500}")}`, "field:1:23: the regular expression takes"},
		"what is no regular expression":        {"its place is told", `${refreshToken.matches("(")}`, "field:1:23: it is not a regular expression (RE2)"},
		"a regular expression that is made up": {"its size would be known too late", `${refreshToken.matches(parameters.id)}`, "field:1:23: the regular expression of matches must be written out, as in matches('^a+$')"},
		"a signature":                          {"only what an admin writes may sign", `${jwt.sign("HS256", app.key, {"a": 1})}`, "undeclared reference"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := environment(t).Template("field", c.text)
			if name == "a signature" {
				_, err = unsigned(t).Template("field", c.text)
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.300v, want %q\nreason: %s", err, c.want, c.reason)
			}
		})
	}
}

// unsigned is an environment in which nothing can be signed.
func unsigned(t *testing.T) *expression.Environment {
	t.Helper()
	made, err := expression.NewEnvironment(expression.TextMap("app", []string{"key"}))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestOneCallIsBounded makes a call that would give far more than it is given.
func TestOneCallIsBounded(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a call that gives far more than it is given")
	const size = 64 << 10 // of body.large
	for name, c := range map[string]struct {
		reason, text, want string
	}{
		"replace":                      {"each character becomes a hundred", `${body.large.replace("x", "` + repeat("y", 100) + `")}`, "it would give more than"},
		"replace of nothing":           {"an empty text is found everywhere", `${body.large.replace("", "` + repeat("y", 100) + `")}`, "it would give more than"},
		"join":                         {"the separator counts", `${["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].join(body.large)}`, "it would give more than"},
		"format":                       {"each value counts", `${"%s%s%s%s%s%s%s%s%s".format([` + strings.TrimSuffix(repeat("body.large,", 9), ",") + `])}`, "it would give more than"},
		"split":                        {"an element for each byte", `${body.large.split("")}`, "it would give more than"},
		"indexOf":                      {"a simple search takes the product", `${body.large.indexOf(body.half)}`, " too "},
		"lastIndexOf":                  {"a simple search takes the product", `${body.large.lastIndexOf(body.half)}`, " too "},
		"indexOf, something short":     {"honest use is far below", `${body.large.indexOf("y")}`, ""},
		"a match":                      {"time goes with the text and the pattern", `${body.large.matches("(a|b|c|x)*(a{90}|d)y$")}`, " too "},
		"a match with a small pattern": {"honest use is far below", `${body.large.matches("^x")}`, ""},
		"a list of shared parts":       {"it is small in memory, and large once it is written", `${json.encode([1,2,3,4,5,6,7].map(x, [body.large, x]))}`, ""},
		"... that is larger":           {"a value leaves within bounds", `${json.encode([1,2,3,4,5,6,7,8,9].map(x, [body.large, x]))}`, "it would give more than"},
		"lists that double":            {"loops are few, and so is the growth", `${json.encode([1].map(a, [a,a,a,a]).map(b, [b,b,b,b]).map(c, [c,c,c,c]).map(d, [d,d,d,d]))}`, ""},
		"many elements":                {"a value leaves within bounds", `${json.encode([body.many, body.many, body.many, body.many])}`, "it would give more than"},
		"a sum of texts":               {"CEL counts it", `${` + strings.TrimSuffix(repeat("body.large+", 40), "+") + `}`, "it costs too much"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := environment(t).Template("field", c.text)
			if err != nil {
				t.Fatal(err)
			}
			many := make([]any, 2_500)
			for i := range many {
				many[i] = int64(i)
			}
			_, _, err = template.Text(map[string]any{"body": map[string]any{"large": repeat("x", size), "half": repeat("x", size/2), "many": many}})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.300v, want %q\nreason: %s", err, c.want, c.reason)
			}
		})
	}
}

func TestATextThatIsRenderedIsBounded(t *testing.T) {
	t.Parallel()
	template, err := environment(t).Template("field", repeat("${body}", 8))
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]string{64 << 10: "", 64<<10 + 1: "field:1:1: gives more than 524288 bytes"} {
		_, _, err := template.Text(map[string]any{"body": repeat("x", size)})
		if err != nil && err.Error() != want || err == nil && want != "" {
			t.Errorf("8 times %d bytes: %v, want %q", size, err, want)
		}
	}
}

// TestCostIsBoundedTogether evaluates an expression over and over on one budget.
func TestCostIsBoundedTogether(t *testing.T) {
	t.Parallel()
	compiled, err := environment(t).Condition("field", "body.all(x, x == 1)")
	if err != nil {
		t.Fatal(err)
	}
	list := make([]any, 1_000)
	for i := range list {
		list[i] = int64(1)
	}
	variables, times := map[string]any{"body": list, expression.BudgetKey: expression.NewBudget()}, 0
	for ; times < 1_000; times++ {
		if _, _, err = compiled.Value(variables); err != nil {
			break
		}
	}
	if times < 2 || times > 100 || !strings.Contains(fmt.Sprint(err), "field:1:1: the expressions before it cost too much together") {
		t.Errorf("it was evaluated %d times, and then: %v", times, err)
	}
	delete(variables, expression.BudgetKey)
	if _, _, err := compiled.Value(variables); err != nil {
		t.Errorf("without a budget only the expression's own bound counts: %v", err)
	}
}

// numbers of an RSA key, as in RFC 8017 appendix A.1.2.
type numbers struct {
	Version                                   int
	N, E, D, Prime1, Prime2, Exp1, Exp2, Coef *big.Int
}

func numbersOf(key *rsa.PrivateKey) numbers {
	return numbers{0, key.N, big.NewInt(int64(key.E)), key.D, key.Primes[0], key.Primes[1], key.Precomputed.Dp, key.Precomputed.Dq, key.Precomputed.Qinv}
}

// madeUp is a "key" of so many bits, whose numbers do not belong together.
func madeUp(bits uint) numbers {
	large := new(big.Int).Lsh(big.NewInt(1), bits-1)
	three := big.NewInt(3)
	return numbers{0, large.Add(large, big.NewInt(1)), big.NewInt(65537), three, three, three, three, three, three}
}

// pemOf writes an RSA key as PKCS #1.
func pemOf(key numbers) string {
	der, err := asn1.Marshal(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
}

func TestKeysAreCheckedBeforeTheyAreUsed(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an RSA key of 98,304 bits")
	sound, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	damaged := numbersOf(sound)
	damaged.D = new(big.Int).Add(sound.D, big.NewInt(2))
	der, err := x509.MarshalPKCS8PrivateKey(sound)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		reason, key, want string
	}{
		"a sound key":            {"it signs", pemOf(numbersOf(sound)), ""},
		"a sound key in PKCS #8": {"it signs", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), ""},
		"a damaged key":          {"it would sign wrong, or tell of itself by what it signs", pemOf(damaged), "the key must be"},
		"8,193 bits":             {"what was found and what is allowed", pemOf(madeUp(8193)), "the RSA key has 8193 bits, of at most 8192"},
		"98,304 bits":            {"it would keep a processor busy for minutes", pemOf(madeUp(98_304)), "of at most 16384"},
		"a PEM of 16 KiB":        {"it is not even decoded", repeat("x", 16<<10+1), "the key has 16385 bytes, of at most 16384"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := environment(t).Template("field", `${jwt.sign("RS256", body, {"a": 1})}`)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = template.Text(map[string]any{"body": c.key})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q\nreason: %s", err, c.want, c.reason)
			}
		})
	}
}
