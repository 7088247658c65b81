// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression_test

import (
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
)

const (
	// mostCompiled is how much compiling and rendering one template may allocate in
	// all, in bytes, what was freed on the way included.
	mostCompiled = 256 << 20

	// mostTime is how long that may take, on a machine that does much else.
	mostTime = 5 * time.Second
)

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// FuzzTemplate compiles a template, and renders it over texts of the size that tokens
// and outputs may have.
func FuzzTemplate(f *testing.F) {
	made, err := expression.NewEnvironment(expression.Text("accessToken"), expression.Timestamp("expiresAt"),
		expression.AnyMap("outputs", []string{"a", "b"}), expression.TextMap("parameters", []string{"site"}))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"Bearer ${accessToken}", "$${accessToken}", "${", "${'}'}", `${"\"}"}`, "${r'\\'}", "${{'a': {}}.a}", "a\n${outputs.?a.orValue('')}",
		`${accessToken.replace("", accessToken)}`, `${[1].map(a, [a,a]).map(b, [b,b])}`, `${outputs.a.optMap(x, [x, x]).orValue([])}`,
		`${accessToken.matches("(a|b)*c{90}$")}`, `${outputs.b.split("").join(accessToken)}`, `${"%s%s".format([accessToken, outputs])}`,
		"${" + strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300) + "}", "${" + strings.Repeat("-", 300) + "1}",
		"${" + strings.Repeat("[", 240) + strings.Repeat("]", 240) + "}", strings.Repeat("${1}", 65),
		"${" + strings.Repeat("true?", 200) + "1" + strings.Repeat(":1", 200) + "}",
		`${json.encode(outputs)}`, `${outputs.a == outputs.b}`, `${outputs.a.exists(x, x in outputs.b)}`,
		`${base64.encode(bytes("oauth2:" + accessToken))}`, `${expiresAt - duration("1h")}`, `${timestamp("0001-01-01T00:00:00Z")}`,
	} {
		f.Add(seed)
	}
	many := make([]any, 1_000)
	for i := range many {
		many[i] = strings.Repeat("x", 40)
	}
	f.Fuzz(func(t *testing.T, text string) {
		before, began := allocated(), time.Now()
		template, err := made.Template("field", text)
		if err == nil {
			var rendered string
			rendered, _, err = template.Text(map[string]any{
				"accessToken": strings.Repeat("canary-x", 4<<10), "expiresAt": time.Unix(1e9, 0), "parameters": map[string]string{"site": "a"},
				"outputs":            map[string]any{"a": many, "b": strings.Repeat("canary-y", 4<<10)},
				expression.BudgetKey: expression.NewBudget(),
			})
			if len(rendered) > expression.MaxResult {
				t.Errorf("it renders to %d bytes", len(rendered))
			}
			if template.Weight() > 1<<21 {
				t.Errorf("it takes %d bytes of memory", template.Weight())
			}
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the error quotes a value: %.200v", err)
		}
		if took := time.Since(began); took > mostTime {
			t.Errorf("it took %s", took)
		}
		if took := allocated() - before; took > mostCompiled {
			t.Errorf("it allocated %d bytes", took)
		}
	})
}
