// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const (
	controlGroups = "/sys/fs/cgroup"
	// groupName is the control group that holds all of the pods'.
	groupName = "tokenkeeper-node"
)

// isUnified reports whether the machine has version 2 of control groups alone.
func isUnified() bool {
	_, err := os.Stat(filepath.Join(controlGroups, "cgroup.controllers"))
	return err == nil
}

// groupRoots are the hierarchies of control groups: one, or one for each controller.
func groupRoots() ([]string, error) {
	if isUnified() {
		return []string{controlGroups}, nil
	}
	entries, err := os.ReadDir(controlGroups)
	roots := []string{}
	for _, entry := range entries {
		if entry.IsDir() {
			roots = append(roots, filepath.Join(controlGroups, entry.Name()))
		}
	}
	return roots, err
}

// makeGroups makes the group that kubelet is told to stay in.
func makeGroups() error {
	roots, err := groupRoots()
	for _, root := range roots {
		err = errors.Join(err, os.MkdirAll(filepath.Join(root, groupName), 0o755)) //nolint:gosec // a control group is for everybody to read
	}
	return err
}

// removeGroups removes it with all groups in it, which are empty once the node has ended.
func removeGroups() error {
	roots, err := groupRoots()
	for _, root := range roots {
		groups := []string{}
		walked := filepath.WalkDir(filepath.Join(root, groupName), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil // one that has gone meanwhile
		})
		err = errors.Join(err, walked)
		slices.Reverse(groups) // inner ones first
		for _, group := range groups {
			if removed := os.Remove(group); !errors.Is(removed, fs.ErrNotExist) {
				err = errors.Join(err, removed)
			}
		}
	}
	return err
}
