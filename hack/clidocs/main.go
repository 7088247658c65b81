// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command clidocs writes a page for each command of the kubectl plugin to docs/cli. Run it
// by `make cli-docs`, at the root of the repository.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra/doc"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl"
)

const folder = "docs/cli"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "clidocs:", err)
		os.Exit(1)
	}
}

func run() error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // part of the repository
		return err
	}
	return doc.GenMarkdownTree(kubectl.Documented(), folder)
}
