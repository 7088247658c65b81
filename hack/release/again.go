// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// again makes everything a second time, from a copy of the source in another folder, and
// compares the checksums. What Go has compiled is reused; all else is made anew, so that a
// time, a path or an order that gets into a file shows.
func again(ctx context.Context, p plan) error {
	say("Making everything again, from a copy elsewhere, to compare ...")
	work, err := os.MkdirTemp("", "tokenkeeper-again-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	second := p
	second.source, second.folder = filepath.Join(work, "source"), filepath.Join(work, "release")
	if err := copySource(ctx, p.source, second.source); err != nil {
		return err
	}
	if _, err := build(ctx, second); err != nil {
		return err
	}
	first, err := os.ReadFile(p.path(checksumsName))
	if err != nil {
		return err
	}
	other, err := os.ReadFile(second.path(checksumsName))
	if err != nil {
		return err
	}
	if differ := differences(string(first), string(other)); len(differ) > 0 {
		return fmt.Errorf("the release cannot be reproduced: made twice, these files differ: %s", strings.Join(differ, ", "))
	}
	say("  the same bytes: all %d checksums agree", strings.Count(string(first), "\n"))
	return nil
}

// differences are the files whose checksums are not the same in both lists.
func differences(first, second string) []string {
	sums := map[string]string{}
	for line := range strings.Lines(first) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sums[name] = sum
	}
	differ := []string{}
	for line := range strings.Lines(second) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if sums[name] != sum {
			differ = append(differ, name)
		}
		delete(sums, name)
	}
	for name := range sums {
		differ = append(differ, name)
	}
	return differ
}

// copySource copies what is, or is about to be, in the repository. Its .git is a file that
// names the checkout's, so that the copy is of the same commit.
func copySource(ctx context.Context, from, to string) error {
	list, err := output(ctx, from, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	repository, err := output(ctx, from, "git", "rev-parse", "--absolute-git-dir")
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(list, "\x00") {
		info, err := os.Lstat(filepath.Join(from, name))
		if name == "" || err != nil || !info.Mode().IsRegular() {
			continue // deleted, and not yet committed
		}
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), content, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(to, ".git"), []byte("gitdir: "+repository+"\n"), 0o600)
}
