// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package builtin_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lint"
)

// TestNothingIsWarnedOf holds the built-in providers to what other authors are warned of.
func TestNothingIsWarnedOf(t *testing.T) {
	t.Parallel()
	specs, err := builtin.Specs()
	if err != nil {
		t.Fatal(err)
	}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiled, err := compile.Provider(name, spec)
			if err != nil {
				t.Fatal(err)
			}
			for _, warning := range lint.Warnings(compiled, spec) {
				t.Error(warning)
			}
		})
	}
}
