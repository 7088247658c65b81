// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/values"
)

// readingEnvironment is one that an expression of a reply has.
func readingEnvironment(t testing.TB) *Environment {
	t.Helper()
	made, err := NewEnvironment(
		TextMap("app", []string{"key", "secret"}), AnyMap("outputs", []string{"a", "b"}), AnyMap("headers", nil),
		Text("refreshToken"), Timestamp("now"), Integer("status"), Any("body"), UUID(),
	)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// bodies draws what a reply may hold, most often with the names that the paths have.
func bodies(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.String().AsAny(), rapid.SampledFrom([]any{" x ", "\u00a0y\t", "", "\xff\xfe", strings.Repeat("é", 50)}),
		rapid.Int64().AsAny(), rapid.Float64().AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil),
	}
	if depth > 0 {
		member := bodies(depth - 1)
		object := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "a b"}), member, 0, 3).AsAny()
		kinds = append(kinds, object, object, object, rapid.SliceOfN(member, 0, 2).AsAny())
	}
	return rapid.OneOf(kinds...)
}

// paths gives expressions that are evaluated as paths.
func paths(t *testing.T) []*Expression {
	t.Helper()
	environment := readingEnvironment(t)
	var paths []*Expression
	for _, source := range []string{
		`body`, `body.a`, `body.?a`, `body.a.b`, `body.?a.b`, `body.a.?b`, `body.?a.?b`, `body["a"]`, `body[?"a b"]`, `body["a"]["b"]`, `body.a[?"b"]`,
		`string(body.a)`, `string(body.a).trim()`, `string(body.a.b).trim()`, `body.a.trim()`, `string(string(body.a).trim())`, `string(body)`,
		`app.key`, `app.?secret`, `outputs.a`, `outputs.?b`, `outputs.a.b`, `string(outputs.a)`, `headers["a"]`, `headers.?b`,
		`refreshToken`, `refreshToken.trim()`, `status`, `uuid()`, `string(app.key).trim()`,
	} {
		compiled, err := environment.Expression("field", source)
		if err != nil {
			t.Fatal(err)
		}
		if compiled.path == nil {
			t.Fatalf("%s is no path", source)
		}
		paths = append(paths, compiled)
	}
	return paths
}

// TestAPathSaysWhatCELSays evaluates expressions as paths and by CEL's interpreter, over
// the same values.
func TestAPathSaysWhatCELSays(t *testing.T) {
	t.Parallel()
	all := paths(t)
	rapid.Check(t, func(t *rapid.T) {
		variables := map[string]any{
			"app":    rapid.MapOf(rapid.SampledFrom([]string{"key", "secret"}), rapid.String()).Draw(t, "app"),
			"status": rapid.Int64().Draw(t, "status"), "refreshToken": rapid.String().Draw(t, "refreshToken"), "body": bodies(2).Draw(t, "body"),
			UUIDKey: "u",
		}
		for _, name := range []string{"outputs", "headers"} {
			if members, isMap := bodies(2).Draw(t, name).(map[string]any); isMap {
				variables[name] = members
			}
		}
		for _, path := range all {
			value, cost, present, ok := path.path.value(variables)
			if !ok {
				continue
			}
			byPath, budget := []any{value, present}, NewBudget()
			variables[BudgetKey] = budget
			result, err := path.evaluate(variables)
			if err != nil {
				t.Fatalf("%s: CEL fails (%v), the path gives %v", path.source.text, err, value)
			}
			value, present, err = values.Native(result)
			if err != nil {
				t.Fatalf("%s: CEL gives what cannot be used (%v)", path.source.text, err)
			}
			if diff := cmp.Diff([]any{value, present}, byPath); diff != "" {
				t.Fatalf("%s (-by CEL +by path):\n%s", path.source.text, diff)
			}
			if cost < budget.spent {
				t.Fatalf("%s: the path counts a cost of %d, CEL %d", path.source.text, cost, budget.spent)
			}
		}
	})
}

// TestAPathAnswersWhatIsUsual keeps the test above from passing because no path answers.
func TestAPathAnswersWhatIsUsual(t *testing.T) {
	t.Parallel()
	for _, path := range paths(t) {
		answered := false
		for _, body := range []any{"text", map[string]any{"a": "x"}, map[string]any{"a": map[string]any{"b": "x"}}, map[string]any{"b": "x"}} {
			variables := map[string]any{"app": map[string]string{"key": "k"}, "outputs": body, "headers": body, "refreshToken": "r", "status": int64(1), "body": body, UUIDKey: "u"}
			_, _, _, ok := path.path.value(variables)
			answered = answered || ok
		}
		if !answered {
			t.Errorf("%s is left to CEL over all of them", path.source.text)
		}
	}
}

// TestWhatIsMoreThanAPathIsLeftToCEL lists what looks like a path.
func TestWhatIsMoreThanAPathIsLeftToCEL(t *testing.T) {
	t.Parallel()
	environment := readingEnvironment(t)
	variables := map[string]any{"now": time.Now(), "status": int64(1), "outputs": map[string]any{"a": "x"}, "body": map[string]any{"a": nil}}
	for _, source := range []string{`now`, `outputs`, `body.a`, `string(body.a)`, `string(status)`, `body.b`} {
		compiled, err := environment.Expression("field", source)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, ok := compiled.path.value(variables); ok {
			t.Errorf("%s over %v is not CEL's to say", source, variables)
		}
	}
	for _, source := range []string{
		`has(body.a)`, `body[0]`, `body[body.a]`, `body.a + ""`, `body.?a.orValue("x")`, `int(body.a)`, `"a" in body`, `{"a": 1}.a`,
		`string(body.a).trim().size()`, `"x".trim()`, `[body.a]`, `!body.a`,
	} {
		compiled, err := environment.Expression("field", source)
		if err != nil {
			t.Fatal(err)
		}
		if compiled.path != nil {
			t.Errorf("%s is taken for a path", source)
		}
	}
}

func TestAPathIsOnTheSameBudget(t *testing.T) {
	t.Parallel()
	compiled, err := readingEnvironment(t).Expression("field", "string(body.a).trim()")
	if err != nil {
		t.Fatal(err)
	}
	variables, times := map[string]any{"body": map[string]any{"a": strings.Repeat("x", 4_000)}, BudgetKey: NewBudget()}, 0
	for ; times < 1_000; times++ {
		if _, _, err = compiled.Value(variables); err != nil {
			break
		}
	}
	if times < 2 || times > 50 || !strings.Contains(err.Error(), "the expressions before it cost too much together") {
		t.Errorf("it was evaluated %d times, and then: %v", times, err)
	}
}
