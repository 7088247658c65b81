// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package version

import (
	"runtime/debug"
	"testing"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name string
		info debug.BuildInfo
		want string
	}{
		{"built in a checkout", debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}}}, "devel-0123456789ab"},
		{"built in a changed checkout", debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}}}, "devel-0123456789ab+dirty"},
		{"installed as a module", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3"},
		{"nothing is known", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if got := describe(&each.info); got != each.want {
				t.Errorf("%q, want %q", got, each.want)
			}
		})
	}
	if String() == "" {
		t.Error("a binary without a version")
	}
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v0.1.0":                   "tokenkeeper/v0.1.0 (+https://github.com/tokenkeeper/tokenkeeper)",
		"devel-0123456789ab+dirty": "tokenkeeper/devel-0123456789ab+dirty (+https://github.com/tokenkeeper/tokenkeeper)",
		"devel":                    "tokenkeeper",
	} {
		if got := userAgent(version); got != want {
			t.Errorf("%s calls itself %q, want %q", version, got, want)
		}
	}
}
