// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command golangci-lint is golangci-lint with the Kubernetes API linter built
// in. golangci-lint can only load such a plugin when it is compiled with it, and
// its own way ("golangci-lint custom") clones a repository; this main needs the
// two modules alone.
package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	_ "sigs.k8s.io/kube-api-linter"
)

// version is what .golangci.yml is written for; it is also part of
// golangci-lint's cache keys.
const version = "2.15.0"

func main() {
	err := commands.Execute(commands.BuildInfo{Version: version, GoVersion: runtime.Version(), Commit: "pinned in tools/golangci-lint/go.mod", Date: "none"})
	if err != nil {
		fmt.Fprintln(os.Stderr, "golangci-lint:", err)
		os.Exit(exitcodes.Failure)
	}
}
