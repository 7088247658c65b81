// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package program compiles TokenKeeper's programs for other people's machines, and says
// what they are made of. The same source, version and Go toolchain give the same bytes on
// any machine: nothing of this one gets in. It puts them nowhere.
package program

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// versionVariable is where a program keeps its version.
const versionVariable = "github.com/tokenkeeper/tokenkeeper/internal/version.release"

// Source is what a program is compiled from.
type Source struct {
	Folder  string // the checkout
	Package string // in it, such as ./cmd
	Version string // that the program says, such as v0.1.0; "" for a development build
}

// Program is a compiled one.
type Program struct {
	Bytes []byte
	Info  *buildinfo.BuildInfo // the modules in it
}

// Compile builds the program for a platform, as the Dockerfile does.
func (s Source) Compile(ctx context.Context, system, architecture string) (*Program, error) {
	work, err := os.MkdirTemp("", "tokenkeeper-program-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	path := filepath.Join(work, "program")
	flags := "-s -w"
	if s.Version != "" {
		flags += " -X " + versionVariable + "=" + s.Version
	}
	// Neither paths get in, nor what git says of the folder.
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", path, s.Package)
	command.Dir = s.Folder
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+architecture,
		"GOWORK=off", "GOFLAGS=-mod=readonly", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=")
	var problem bytes.Buffer
	command.Stderr = &problem
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("go build %s: %w\n%s", s.Package, err, strings.TrimSpace(problem.String()))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Read(content)
}

// Read takes a program that Go has compiled.
func Read(content []byte) (*Program, error) {
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("read which modules the program is made of: %w", err)
	}
	return &Program{Bytes: content, Info: info}, nil
}
