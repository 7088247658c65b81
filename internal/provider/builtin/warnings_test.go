// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package builtin_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
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
			compiled, err := provider.Compile(name, spec)
			if err != nil {
				t.Fatal(err)
			}
			for _, warning := range compiled.Warnings(spec) {
				t.Error(warning)
			}
		})
	}
}
