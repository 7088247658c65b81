// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/expression"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// valued is a target of so many values, all alike.
func valued(count int, value string) v1alpha1.Target {
	data := map[string]string{}
	for i := range count {
		data[fmt.Sprintf("key%02d", i)] = value
	}
	return templated(data)
}

func TestATemplateIsBounded(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a template that takes gigabytes once compiled")
	const key = len("key00")
	// An expression of so many nodes.
	nodes := func(ones int) string { return "${size([1" + strings.Repeat(",1", ones-1) + "])}" }
	for name, c := range map[string]struct {
		reason string
		spec   v1alpha1.Target
		want   string // "": it compiles
	}{
		"a value of the size allowed":      {"the bound is inclusive", valued(1, strings.Repeat("x", expression.MaxTemplate)), ""},
		"a value of one byte too many":     {"the field, what was found and what is allowed", valued(1, strings.Repeat("x", expression.MaxTemplate+1)), "spec.target.template.data[key00]:1:1: has 8193 bytes, of at most 8192"},
		"a template of the size allowed":   {"the bound is inclusive", valued(16, strings.Repeat("x", 4096-key)), ""},
		"a template of some bytes more":    {"what was found and what is allowed", valued(16, strings.Repeat("x", 4097-key)), "spec.target.template has 65552 bytes in all, of at most 65536"},
		"labels and annotations count too": {"they are kept and written as well", v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Annotations: map[string]string{"a": strings.Repeat("x", 1<<16)}}}}, "spec.target.template has 65537 bytes in all, of at most 65536"},
		"many small expressions":           {"a usual template is far below", valued(64, "Bearer ${accessToken}"), ""},
		"many that take much memory":       {"what it compiles to counts", valued(8, nodes(450)), "spec.target.template.data: its expressions take more than 2097152 bytes of memory, up to data["},
		"a signature":                      {"a tenant's expression must not keep a processor busy", valued(1, `${jwt.sign("HS256", accessToken, {"a": 1})}`), "spec.target.template.data[key00]:1:3: undeclared reference"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := (&Compiler{}).Compile(c.spec, nil, nil)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q\nreason: %s", err, c.want, c.reason)
			}
		})
	}
}

func TestWhatATemplateGivesIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		spec   v1alpha1.Target
		want   string // "": it renders
	}{
		"as much as a Secret may hold":    {"the bound is inclusive", valued(16, "${accessToken}"), ""},
		"one value more":                  {"the field, and what is allowed", valued(17, "${accessToken}"), "spec.target.template.data gives more than 524288 bytes in all, up to data[key16]"},
		"one value that is too large":     {"it is not even made", valued(1, strings.Repeat("${accessToken}", 17)), "spec.target.template.data[key00]:1:1: gives more than 524288 bytes"},
		"one that multiplies itself":      {"each character becomes a hundred", valued(1, `${accessToken.replace("x", "`+strings.Repeat("y", 100)+`")}`), "it would give more than"},
		"what all cost together":          {"one budget for all values", valued(40, `${(accessToken + accessToken).size()}`), "the expressions before it cost too much together"},
		"each of them alone":              {"it costs what it may", valued(4, `${(accessToken + accessToken).size()}`), ""},
		"patterns over a token, 64 times": {"regular expressions have the same budget", valued(64, `${accessToken.matches("^(x|y)*[a-z]+$")}`), "the expressions before it cost too much together"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := (&Compiler{}).Compile(c.spec, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			in := granted()
			in.AccessToken = secret.New(strings.Repeat("x", 32<<10))
			_, err = template.Render(in, nil)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.300v, want %q\nreason: %s", err, c.want, c.reason)
			}
		})
	}
}

func TestCompiledTemplatesAreKeptWithinBytes(t *testing.T) {
	t.Parallel()
	compiler := &Compiler{}
	for i := range 60 {
		if _, err := compiler.Compile(valued(32, fmt.Sprintf("Bearer ${accessToken + %q}", fmt.Sprint(i))), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if kept := compiler.compiled.Size(); kept > maxRemembered || kept < maxRemembered/2 {
		t.Errorf("%d bytes are kept, of at most %d", kept, maxRemembered)
	}
}
