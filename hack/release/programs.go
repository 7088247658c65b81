// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/hack/image/program"
)

// platform is an operating system and an architecture, as Go names them.
type platform struct{ system, architecture string }

func (p platform) String() string { return p.system + "/" + p.architecture }

// isHere reports whether programs of the platform run on this machine.
func (p platform) isHere() bool { return p.system == runtime.GOOS && p.architecture == runtime.GOARCH }

// pluginPlatforms are those that people run kubectl on.
var pluginPlatforms = []platform{
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"linux", "amd64"}, {"linux", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

// choose gives the platforms that are asked for, or all.
func choose(names []string) ([]platform, error) {
	if len(names) == 0 {
		return pluginPlatforms, nil
	}
	chosen := []platform{}
	for _, name := range names {
		system, architecture, _ := strings.Cut(name, "/")
		one := platform{system, architecture}
		if !slices.Contains(pluginPlatforms, one) {
			return nil, fmt.Errorf("%q is no platform of the plugin: these are %v", name, pluginPlatforms)
		}
		chosen = append(chosen, one)
	}
	return chosen, nil
}

// pluginName is what kubectl looks for when a person writes kubectl tokencredential.
const pluginName = "kubectl-tokencredential"

func buildPlugins(ctx context.Context, p plan) ([]archive, error) {
	made := []archive{}
	for _, on := range p.platforms {
		say("  %s", on)
		content, err := compile(ctx, p, "./cmd/"+pluginName, on)
		if err != nil {
			return nil, err
		}
		inArchive := pluginName
		if on.system == "windows" {
			inArchive += ".exe"
		}
		one, err := packProgram(p, pluginName, inArchive, on, content)
		if err != nil {
			return nil, err
		}
		made = append(made, one)
	}
	return made, nil
}

// managerName is that of the manager's archives.
const managerName = "tokenkeeper-manager"

func packManagers(p plan, built image) error {
	for _, each := range built.managers {
		if _, err := packProgram(p, managerName, "manager", each.platform, each.content); err != nil {
			return err
		}
	}
	return nil
}

// compile builds one of the commands for a platform.
func compile(ctx context.Context, p plan, command string, on platform) ([]byte, error) {
	built, err := program.Source{Folder: p.source, Package: command, Version: p.version}.Compile(ctx, on.system, on.architecture)
	if err != nil {
		return nil, err
	}
	return built.Bytes, nil
}

// billOf is the bill of materials of a program.
func billOf(p plan, name string, on platform, content []byte) ([]byte, error) {
	read, err := program.Read(content)
	if err != nil {
		return nil, err
	}
	return read.Bill(program.About{Name: name, Version: p.version, Platform: on.String(), Created: p.created, Tool: "tokenkeeper-release"})
}
