// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// release is what was made, as far as later steps need it.
type release struct {
	image   image
	plugins []archive
}

// archive is a program that people download.
type archive struct {
	platform platform
	program  string // its name in the archive
	name     string // the archive's
	sha256   string
}

const (
	installerName = "install.yaml"
	imageName     = "image.txt" // by which the image is pulled
	krewName      = "tokencredential.yaml"
	notesName     = "release-notes.md"
	checksumsName = "checksums.txt"
)

// build makes everything, step by step; each takes what the ones before have made.
func build(ctx context.Context, p plan) (release, error) {
	made := release{}
	if err := os.RemoveAll(p.folder); err != nil {
		return made, err
	}
	if err := os.MkdirAll(p.folder, 0o755); err != nil { //nolint:gosec // for everybody to read
		return made, err
	}
	steps := []struct {
		what string
		do   func() error
	}{
		{"the image, for amd64 and arm64 (minutes the first time)", func() (err error) { made.image, err = buildImage(ctx, p); return err }},
		{"the image's name", func() error { return write(p, imageName, made.image.reference+"\n") }},
		{"the manager, as it is in the image", func() error { return packManagers(p, made.image) }},
		{fmt.Sprintf("the kubectl plugin, for %d platforms (minutes the first time)", len(p.platforms)), func() (err error) { made.plugins, err = buildPlugins(ctx, p); return err }},
		{"the installer", func() error { return writeInstaller(p, made.image.reference) }},
		{"the chart", func() error { return writeChart(p, made.image.digest) }},
		{"the manifest for krew", func() error { return writeKrew(p, made.plugins) }},
		{"the notes", func() error { return write(p, notesName, notesOf(p, made.image.reference)) }},
		{"the checksums", func() error { return writeChecksums(p) }},
	}
	for i, step := range steps {
		say("[%d/%d] Making %s ...", i+1, len(steps), step.what)
		if err := step.do(); err != nil {
			return made, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return made, nil
}

func write(p plan, name, text string) error {
	return os.WriteFile(p.path(name), []byte(text), 0o644) //nolint:gosec // for everybody to read
}

// released are the names of all files that are released beside the checksums, sorted. The
// folder with the image's layout is there to be pushed, and not among them.
func released(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, each := range entries {
		if !each.IsDir() && each.Name() != checksumsName {
			names = append(names, each.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// writeChecksums writes what sha256sum --check reads.
func writeChecksums(p plan) error {
	names, err := released(p.folder)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, name := range names {
		sum, err := sumOf(p.path(name))
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&text, "%s  %s\n", sum, name)
	}
	return write(p, checksumsName, text.String())
}

func sumOf(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), nil
}

// packProgram puts a program into an archive, with the licence, and writes its bill of
// materials beside it.
func packProgram(p plan, name, program string, on platform, content []byte) (archive, error) {
	made := archive{platform: on, program: program}
	stem := fmt.Sprintf("%s_%s_%s_%s", name, p.version, on.system, on.architecture)
	made.name = stem + ".tar.gz"
	if on.system == "windows" {
		made.name = stem + ".zip"
	}
	licence, err := os.ReadFile(filepath.Join(p.source, "LICENSE"))
	if err != nil {
		return made, err
	}
	files := []file{{name: "LICENSE", mode: 0o644, content: licence}, {name: program, mode: 0o755, content: content}}
	if err := pack(p.path(made.name), files, p.created); err != nil {
		return made, err
	}
	if made.sha256, err = sumOf(p.path(made.name)); err != nil {
		return made, err
	}
	bill, err := billOf(p, name, on, content)
	if err != nil {
		return made, err
	}
	return made, write(p, stem+".spdx.json", string(bill))
}
