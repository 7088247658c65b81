// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// terminal is a newcomer's, on a machine with git, make and Go: in an empty folder, with
// the cluster's admin as the current context. What they install into /usr/local/bin stays
// in a folder of the test, which has that name for their commands alone.
type terminal struct {
	t *testing.T
	// folder is where the next command runs.
	folder    string
	installed string
	variables []string
}

// newTerminal needs the node: it makes a mount, and brings images there.
func newTerminal(t *testing.T) *terminal {
	t.Helper()
	if env.node == "" {
		t.Skip("the commands are run on the machine of the node itself")
	}
	for _, program := range []string{"git", "make", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("a newcomer would need %s, which is not on this machine", program)
		}
	}
	home := t.TempDir()
	l := &terminal{t: t, folder: t.TempDir(), installed: filepath.Join(home, "bin")}
	must(t, os.Mkdir(l.installed, 0o755))
	l.variables = append(os.Environ(),
		"PATH=/usr/local/bin"+string(os.PathListSeparator)+os.Getenv("PATH"),
		"KUBECONFIG="+filepath.Join(env.node, "kubeconfig", "admin"),
		"HELM_CACHE_HOME="+filepath.Join(home, "helm"), "HELM_CONFIG_HOME="+filepath.Join(home, "helm"), "HELM_DATA_HOME="+filepath.Join(home, "helm"),
		// The repository is where its address says, as far as git knows.
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_VALUE_0=https://github.com/tokenkeeper/tokenkeeper", "GIT_CONFIG_KEY_0=url."+l.published(home)+".insteadOf",
	)
	l.program("sudo", `exec "$@"`) // the test is root, and a container's root may lack it
	return l
}

// published is a repository with what is in the checkout, committed or not.
func (l *terminal) published(home string) string {
	l.t.Helper()
	repositoryHere, err := filepath.Abs(repository)
	must(l.t, err)
	origin := filepath.Join(home, "origin")
	must(l.t, command(l.t.Context(), home, "git", "init", "--quiet", origin))
	git := []string{"--git-dir=" + filepath.Join(origin, ".git"), "--work-tree=" + repositoryHere, "-c", "user.name=test", "-c", "user.email=test@example.com"}
	must(l.t, command(l.t.Context(), repositoryHere, "git", append(git, "add", "--all")...))
	must(l.t, command(l.t.Context(), repositoryHere, "git", append(git, "commit", "--quiet", "--message=As it is in the checkout")...))
	return origin
}

// program puts a script onto the PATH.
func (l *terminal) program(name, script string) {
	l.t.Helper()
	must(l.t, os.WriteFile(filepath.Join(l.installed, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
}

// file writes one where the next command runs.
func (l *terminal) file(name, content string) {
	l.t.Helper()
	must(l.t, os.WriteFile(filepath.Join(l.folder, name), []byte(content), 0o600))
}

// types has a shell run commands, and returns what they print. The next ones run where
// these have changed to.
func (l *terminal) types(commands string) string {
	l.t.Helper()
	l.t.Logf("$ %s", strings.TrimSpace(commands))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.t.Context()), 10*time.Minute) // for what is cleaned up, too
	defer cancel()
	ends := filepath.Join(l.installed, "..", "ends")
	shell := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-euc",
		`mount --bind "$0" /usr/local/bin; cd "$1"; ends=$2; eval "$3"; pwd > "$ends"`, l.installed, l.folder, ends, commands)
	shell.Env = l.variables
	printed, err := shell.CombinedOutput()
	l.t.Logf("%s", printed)
	if err != nil {
		l.t.Fatal(fmt.Errorf("%s: %w\n%s", commands, err, printed))
	}
	where, err := os.ReadFile(ends)
	must(l.t, err)
	l.folder = strings.TrimSpace(string(where))
	return string(printed)
}
