// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package builtin_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
)

// TestProvidersThatExtendATokenSaySo has those that may answer with the access token that is
// there and a new end of it: without a word of theirs the end that was known would hold.
func TestProvidersThatExtendATokenSaySo(t *testing.T) {
	t.Parallel()
	specs, err := builtin.Specs()
	if err != nil {
		t.Fatal(err)
	}
	extend := map[string]bool{"douyin": true, "wechat": true}
	for name, spec := range specs {
		compiled, err := compile.Provider(name, spec)
		if err != nil {
			t.Fatal(err)
		}
		if call := compiled.Refresh; call != nil && call.ExtendsToken() != extend[name] {
			t.Errorf("%s extends tokens: %t, want %t", name, call.ExtendsToken(), extend[name])
		}
	}
}
