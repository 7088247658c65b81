// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crash runs the manager as it is built, and ends it at the worst moments:
// with SIGKILL, which nothing can catch, and with SIGTERM, which is to be obeyed
// only once what is in flight is saved.
package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// manager is the binary under test.
var manager string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "tokenkeeper-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	manager = filepath.Join(folder, "manager")
	build := exec.Command("go", "build", "-o", manager, "../../cmd")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "the manager does not build:", err)
		return 1
	}
	return apiserver.Run(m)
}
