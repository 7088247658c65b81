// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// versionVariable is where the program keeps its version.
const versionVariable = "github.com/tokenkeeper/tokenkeeper/internal/version.release"

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

// program is a compiled one.
type program struct {
	bytes []byte
	info  *buildinfo.BuildInfo // the modules in it
}

// compile builds the program for a platform, as the Dockerfile does.
func compile(ctx context.Context, o options, system, architecture, work string) (*program, error) {
	path := filepath.Join(work, "manager-"+system+"-"+architecture)
	flags := "-s -w"
	if o.version != "" {
		flags += " -X " + versionVariable + "=" + o.version
	}
	fmt.Fprintf(os.Stderr, "Building the program for %s/%s (minutes the first time) ...\n", system, architecture)
	// Nothing of this machine gets in: neither paths, nor what git says of the folder.
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", path, o.program)
	command.Dir = o.source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+architecture,
		"GOWORK=off", "GOFLAGS=-mod=readonly", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=")
	var problem bytes.Buffer
	command.Stderr = &problem
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("go build %s: %w\n%s", o.program, err, strings.TrimSpace(problem.String()))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("read which modules the program is made of: %w", err)
	}
	return &program{bytes: content, info: info}, nil
}
