// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// lackingError says what a machine lacks, and how to get it.
type lackingError struct{ text string }

func (e *lackingError) Error() string { return e.text }

func lacking(format string, arguments ...any) error {
	return &lackingError{text: fmt.Sprintf(format, arguments...)}
}

// requirement is a program that a node needs, and the Debian package that has it.
type requirement struct{ program, debian, why string }

var requirements = []requirement{
	{"containerd", "containerd", "runs the pods' containers for kubelet"},
	{"ctr", "containerd", "brings images to containerd"},
	{"runc", "runc", "starts a container for containerd"},
	{"bridge", "containernetworking-plugins", "gives each pod an address"},
	{"ip", "iproute2", "makes the node's network"},
}

// pluginFolders are where distributions put CNI plugins.
var pluginFolders = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// installTimeout is for a slow mirror; about 40 MB come.
const installTimeout = 5 * time.Minute

// check sees to it that a node can run here: it installs packages where apt can, and
// says so.
func check(ctx context.Context) error {
	switch {
	case runtime.GOOS != "linux":
		return lacking("pods need Linux, and this is %s. Set E2E_KUBECONFIG to use a cluster that is there", runtime.GOOS)
	case os.Geteuid() != 0:
		return lacking("it takes root, for namespaces, mounts and control groups: run it by sudo, or set E2E_KUBECONFIG to use a cluster that is there")
	}
	missing := missingHere()
	if len(missing) == 0 {
		return checkControlGroups()
	}
	packages := []string{}
	for _, each := range missing {
		if !slices.Contains(packages, each.debian) {
			packages = append(packages, each.debian)
			say("Package %s is missing: it %s.", each.debian, each.why)
		}
	}
	command := "apt-get install --yes --no-install-recommends " + strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return lacking("install what Debian calls %s with this machine's package manager", strings.Join(packages, ", "))
	}
	if err := install(ctx, command); err != nil {
		return lacking("%s failed (%v): install them yourself, then try again", command, err)
	}
	if missing := missingHere(); len(missing) > 0 {
		return lacking("%s is still missing after %s", missing[0].program, command)
	}
	return checkControlGroups()
}

// install runs apt. A service that a package brings is not started: this node has its
// own containerd.
func install(ctx context.Context, command string) error {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	policy := "/usr/sbin/policy-rc.d" // https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
	if _, err := os.Stat(policy); os.IsNotExist(err) {
		if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err == nil { //nolint:gosec // a program
			defer func() { _ = os.Remove(policy) }()
		}
	}
	say("%s ...", command)
	words := strings.Fields(command)
	if output(ctx, words[0], words[1:]...) == nil {
		return nil
	}
	say("  ... not with the package lists that are here: apt-get update, and again.")
	if err := output(ctx, "apt-get", "update"); err != nil {
		return err
	}
	return output(ctx, words[0], words[1:]...)
}

// output runs a command quietly; its error has the last line of what it printed.
func output(ctx context.Context, name string, arguments ...string) error {
	command := exec.CommandContext(ctx, name, arguments...) //nolint:gosec // the commands are those of this folder
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	printed, err := command.CombinedOutput()
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(printed)), "\n")
	return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, lines[len(lines)-1])
}

func missingHere() []requirement {
	return slices.DeleteFunc(slices.Clone(requirements), func(each requirement) bool {
		if each.program == "bridge" {
			return pluginFolder() != ""
		}
		_, err := exec.LookPath(each.program)
		return err == nil
	})
}

// pluginFolder is where this machine has the CNI plugins that a node uses.
func pluginFolder() string {
	for _, folder := range pluginFolders {
		found := true
		for _, plugin := range []string{"bridge", "host-local", "loopback"} {
			if _, err := os.Stat(filepath.Join(folder, plugin)); err != nil {
				found = false
			}
		}
		if found {
			return folder
		}
	}
	return ""
}

// checkControlGroups looks for what kubelet cannot do without.
func checkControlGroups() error {
	if isUnified() {
		return nil
	}
	for _, controller := range []string{"cpu", "cpuset", "memory"} {
		if _, err := os.Stat(filepath.Join(controlGroups, controller)); err != nil {
			return lacking("%s has neither version 2 of control groups nor the controller %s of version 1: mount them", controlGroups, controller)
		}
	}
	return nil
}
