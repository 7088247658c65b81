// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version says which version of TokenKeeper a binary is.
package version

import (
	"runtime/debug"
)

// unknown is the version of a build that knows nothing of itself, such as a test.
const unknown = "devel"

// release is set by the linker: -X github.com/tokenkeeper/tokenkeeper/internal/version.release=v0.1.0
var release string

// String is the version: a release's, such as v0.1.0, or what the build knows of itself,
// such as a commit ("devel-1a2b3c4d5e6f", with "+dirty" where files were changed).
func String() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknown
	}
	return describe(info)
}

// UserAgent is how TokenKeeper names itself to providers (RFC 9110, section 10.1.5), so that
// those who run one can tell a bad release, and find whom to tell of it. A build that does not
// know its version names the product alone.
func UserAgent() string { return userAgent(String()) }

func userAgent(version string) string {
	if version == unknown {
		return "tokenkeeper"
	}
	return "tokenkeeper/" + version + " (+https://github.com/tokenkeeper/tokenkeeper)"
}

func describe(info *debug.BuildInfo) string {
	const commitLength = 12
	commit, changed := "", ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			commit = "-" + setting.Value[:min(commitLength, len(setting.Value))]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			changed = "+dirty"
		}
	}
	if version := info.Main.Version; commit == "" && version != "" && version != "(devel)" {
		return version // installed by go install
	}
	return unknown + commit + changed
}
