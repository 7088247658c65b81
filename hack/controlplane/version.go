// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// version is a release line of Kubernetes, such as 1.36, or one patch of it.
type version struct {
	minor int
	patch int // anyPatch: whichever is there
}

// anyPatch stands for the newest patch that can be had.
const anyPatch = -1

var versionText = regexp.MustCompile(`^v?1\.([0-9]{1,3})(?:\.([0-9]{1,3}))?$`)

// parseVersion reads 1.36, 1.36.3 or v1.36.3.
func parseVersion(text string) (version, error) {
	match := versionText.FindStringSubmatch(text)
	if match == nil {
		return version{}, fmt.Errorf("%q is no version of Kubernetes: write a minor, such as 1.36, or a patch of it, such as 1.36.3", text)
	}
	minor, _ := strconv.Atoi(match[1]) // digits alone, and few
	patch := anyPatch
	if match[2] != "" {
		patch, _ = strconv.Atoi(match[2])
	}
	return version{minor: minor, patch: patch}, nil
}

// line is the release line, such as 1.36.
func (v version) line() string { return fmt.Sprintf("1.%d", v.minor) }

// pattern is how setup-envtest is asked: 1.36.x, or 1.36.3.
func (v version) pattern() string {
	if v.patch == anyPatch {
		return v.line() + ".x"
	}
	return fmt.Sprintf("%s.%d", v.line(), v.patch)
}

// module is the version of Kubernetes' own module, such as v1.36.3, and staging that of
// the modules that are published from it, such as v0.36.3. They are of a version with a
// patch.
func (v version) module() string  { return "v" + v.pattern() }
func (v version) staging() string { return fmt.Sprintf("v0.%d.%d", v.minor, v.patch) }

// serves reports whether a found version is what is asked for.
func (v version) serves(found version) bool {
	return v.minor == found.minor && (v.patch == anyPatch || v.patch == found.patch)
}

// newest is the newest of the versions that serve, and false if none does. Others than
// releases, such as v1.36.0-rc.1, are left out.
func (v version) newest(versions []string) (version, bool) {
	best, ok := version{}, false
	for _, text := range versions {
		found, err := parseVersion(strings.TrimSpace(text))
		if err == nil && found.patch != anyPatch && v.serves(found) && (!ok || found.patch > best.patch) {
			best, ok = found, true
		}
	}
	return best, ok
}
