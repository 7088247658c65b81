// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/test/cost"
)

const (
	// mostCompiled is how much compiling and rendering one template may allocate in
	// all, in bytes, what was freed on the way included.
	mostCompiled = 256 << 20

	// mostTime is how much of a processor's time that may take, for slower machines.
	mostTime = 5 * time.Second
)

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
		`${base64.encode(bytes("oauth2:" + accessToken))}`, `${expiresAt - duration("1h")}`, `${url.unescape(accessToken)}`,
		`${x509.thumbprint(accessToken, "sha256")}`, `${x509.thumbprint("-----BEGIN CERTIFICATE-----" + outputs.b + "-----END CERTIFICATE-----", "sha1")}`, `${timestamp("0001-01-01T00:00:00Z")}`,
	} {
		f.Add(seed)
	}
	many := make([]any, 1_000)
	for i := range many {
		many[i] = strings.Repeat("x", 40)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var (
			template *expression.Template
			rendered string
			err      error
		)
		took := cost.Of(t, func() {
			if template, err = made.Template("field", text); err == nil {
				rendered, _, err = template.Text(map[string]any{
					"accessToken": strings.Repeat("canary-x", 4<<10), "expiresAt": time.Unix(1e9, 0), "parameters": map[string]string{"site": "a"},
					"outputs":            map[string]any{"a": many, "b": strings.Repeat("canary-y", 4<<10)},
					expression.BudgetKey: expression.NewBudget(),
				})
			}
		})
		if len(rendered) > expression.MaxResult {
			t.Errorf("it renders to %d bytes", len(rendered))
		}
		if template != nil && template.Weight() > 1<<21 {
			t.Errorf("it takes %d bytes of memory", template.Weight())
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the error quotes a value: %.200v", err)
		}
		if took.Processor > mostTime {
			t.Errorf("it took %s", took.Processor)
		}
		if took.Allocated > mostCompiled {
			t.Errorf("it allocated %d bytes", took.Allocated)
		}
	})
}
