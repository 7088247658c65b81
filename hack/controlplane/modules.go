// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// source is a module that programs are built in.
type source struct {
	folder string
	mod    string // go build's -mod: readonly where the module is pinned with its sums
}

// kubernetesSource is what a version of Kubernetes is built from: the pinned module, or,
// for another version, one that is written into work. It also gives which patch that is.
func kubernetesSource(ctx context.Context, pinned, work string, wanted version) (source, version, error) {
	text, err := output(ctx, pinned, "go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return source{}, version{}, err
	}
	if built, err := parseVersion(text); err != nil || wanted.serves(built) {
		return source{folder: pinned, mod: "readonly"}, built, err
	}
	list, err := output(ctx, pinned, "go", "list", "-m", "-mod=mod", "-versions", "k8s.io/kubernetes")
	if err != nil {
		return source{}, version{}, err
	}
	built, ok := wanted.newest(strings.Fields(list))
	if !ok {
		return source{}, version{}, fmt.Errorf("the module proxy serves no Kubernetes %s; of %s it has: %s",
			wanted.pattern(), wanted.line(), served(wanted, strings.Fields(list)))
	}
	folder := filepath.Join(work, "kubernetes")
	return source{folder: folder, mod: "mod"}, built, writeModule(ctx, folder, built)
}

// served are the patches of a version's line, for people.
func served(wanted version, versions []string) string {
	found := []string{}
	for _, text := range versions {
		if each, err := parseVersion(text); err == nil && each.minor == wanted.minor {
			found = append(found, each.pattern())
		}
	}
	if len(found) == 0 {
		return "none"
	}
	return strings.Join(found, ", ")
}

// writeModule writes a module that requires what a version of Kubernetes requires. The
// staging modules, which Kubernetes replaces by paths that others cannot see, are
// replaced by what is published of them. Go checks the sums with its own database.
func writeModule(ctx context.Context, folder string, built version) error {
	if err := os.Mkdir(folder, 0o750); err != nil {
		return err
	}
	found, err := output(ctx, folder, "go", "mod", "download", "-json", "k8s.io/kubernetes@"+built.module())
	if err != nil {
		return err
	}
	var module struct{ GoMod string }
	if err := json.Unmarshal([]byte(found), &module); err != nil {
		return fmt.Errorf("read what go mod download says: %w", err)
	}
	theirs, err := os.ReadFile(module.GoMod)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "go.mod"), []byte(ownModule(string(theirs), built)), 0o600)
}

// stagingPath is where Kubernetes replaces one of its staging modules by a path, and
// moduleLine where it says its own name.
var (
	stagingPath = regexp.MustCompile(`=> \./staging/src/(\S+)`)
	moduleLine  = regexp.MustCompile(`(?m)^module k8s\.io/kubernetes$`)
)

// ownModule turns Kubernetes' go.mod into one of a module beside it.
func ownModule(theirs string, built version) string {
	ours := stagingPath.ReplaceAllString(theirs, "=> $1 "+built.staging())
	return moduleLine.ReplaceAllString(ours, "module kubernetes.local\n\nrequire k8s.io/kubernetes "+built.module())
}
