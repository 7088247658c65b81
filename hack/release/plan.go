// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// repository is where the image is pulled from, and home where people look.
const (
	repository = "ghcr.io/tokenkeeper/tokenkeeper"
	home       = "https://github.com/tokenkeeper/tokenkeeper"
)

// plan is what a release is made from, and where to.
type plan struct {
	version   string    // such as v0.1.0
	source    string    // the checkout
	folder    string    // for all that is made
	created   time.Time // the time that everything in it has
	notes     string    // what the changelog says of the version
	platforms []platform
}

// checkVersion insists on a version that can be a tag of git, of an image and of a Go
// module: https://semver.org with a v, and no build metadata, which a tag of an image
// cannot have.
func checkVersion(version string) error {
	switch {
	case version == "":
		return errors.New("VERSION is missing: write VERSION=v0.1.0")
	case semver.IsValid("v" + version):
		return fmt.Errorf("%q lacks its v: write VERSION=v%s", version, version)
	case !semver.IsValid(version), semver.Canonical(version) != version:
		return fmt.Errorf("%q is no semantic version: write v, major, minor and patch, such as v0.1.0 or v0.1.0-rc.1 (https://semver.org)", version)
	}
	return nil
}

// number is the version as Helm and people write it, such as 0.1.0.
func (p plan) number() string { return strings.TrimPrefix(p.version, "v") }

// path is that of one of the files that are made.
func (p plan) path(name string) string { return filepath.Join(p.folder, name) }

func newPlan(ctx context.Context, o options) (plan, error) {
	p := plan{version: o.version, source: o.source, folder: filepath.Join(o.source, "bin", "release", o.version)}
	changes, err := os.ReadFile(filepath.Join(o.source, "CHANGELOG.md"))
	if err != nil {
		return p, err
	}
	if p.notes, err = notes(string(changes), o.version, o.isFinal); err != nil {
		return p, err
	}
	if p.platforms, err = choose(o.platforms); err != nil {
		return p, err
	}
	p.created, err = timeOf(ctx, o.source)
	return p, err
}

// timeOf is the commit's; SOURCE_DATE_EPOCH overrides it
// (https://reproducible-builds.org/specs/source-date-epoch/).
func timeOf(ctx context.Context, source string) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		var err error
		if text, err = output(ctx, source, "git", "log", "-1", "--format=%ct"); err != nil {
			return time.Time{}, fmt.Errorf("a release takes its time from the last commit, or from SOURCE_DATE_EPOCH: %w", err)
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: write seconds since 1970, or unset it", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// mayBegin looks at the checkout: a final release is made from a commit that others can
// fetch, a dry run from whatever is there.
func (p plan) mayBegin(ctx context.Context, isFinal bool) error {
	changed, err := output(ctx, p.source, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if !isFinal {
		if changed != "" {
			say("The checkout has changes that are not committed; the dry run has them too.")
		}
		return nil
	}
	tags, err := output(ctx, p.source, "git", "tag", "--points-at", "HEAD")
	switch {
	case err != nil:
		return err
	case changed != "":
		return fmt.Errorf("the checkout has changes that are not committed: commit or undo them\n%s", changed)
	case !strings.Contains("\n"+tags+"\n", "\n"+p.version+"\n"):
		return fmt.Errorf("the commit is not tagged %s: git tag -s %s", p.version, p.version)
	}
	return nil
}

// output runs a command in a folder and gives what it prints on standard output. The
// error holds what it printed on standard error.
func output(ctx context.Context, folder, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir = folder
	return outputOf(command)
}

// outputOf is output of a prepared command; where its standard error is set, what it
// says of its progress goes there.
func outputOf(command *exec.Cmd) (string, error) {
	var problem strings.Builder
	if command.Stderr == nil {
		command.Stderr = &problem
	}
	printed, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, strings.TrimSpace(problem.String()))
	}
	return strings.TrimSpace(string(printed)), nil
}
