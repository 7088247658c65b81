// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// origin is what is known of the source.
type origin struct {
	commit  string    // "" outside a git checkout
	created time.Time // the time that everything in the image has
}

// readOrigin asks git; SOURCE_DATE_EPOCH overrides the time
// (https://reproducible-builds.org/specs/source-date-epoch/).
func readOrigin(ctx context.Context, source string) (origin, error) {
	found := origin{created: time.Unix(0, 0).UTC()}
	if text, err := git(ctx, source, "log", "-1", "--format=%H %ct"); err == nil {
		commit, seconds, _ := strings.Cut(text, " ")
		found.commit = commit
		if at, err := strconv.ParseInt(seconds, 10, 64); err == nil {
			found.created = time.Unix(at, 0).UTC()
		}
	}
	if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
		at, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return found, fmt.Errorf("SOURCE_DATE_EPOCH is %q: write seconds since 1970, or unset it", text)
		}
		found.created = time.Unix(at, 0).UTC()
	}
	return found, nil
}

func git(ctx context.Context, folder string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"-C", folder}, arguments...)...)
	printed, err := command.Output()
	return strings.TrimSpace(string(printed)), err
}
