// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-tokencredential is a plugin of kubectl: put it on the PATH and call
// `kubectl tokencredential`. It looks at credentials, acts on them, and checks manifests
// and installations. It never prints a secret.
package main

import (
	"os"

	"golang.org/x/term"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/authorize"
)

func main() {
	terminal := kubectl.Terminal{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr, Open: authorize.OpenBrowser}
	if out := int(os.Stdout.Fd()); term.IsTerminal(out) {
		terminal.Colours = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" // https://no-color.org
		if width, _, err := term.GetSize(out); err == nil {
			terminal.Width = width
		}
	}
	os.Exit(kubectl.Main(os.Args[1:], terminal))
}
