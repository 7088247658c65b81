// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package builtin_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
)

// BenchmarkCompileAll is what a start would cost if it compiled every built-in.
func BenchmarkCompileAll(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		specs, err := builtin.Specs()
		if err != nil {
			b.Fatal(err)
		}
		for name, spec := range specs {
			if _, err := compile.Provider(name, spec); err != nil {
				b.Fatal(err)
			}
		}
	}
}
