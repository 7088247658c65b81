// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/tokenkeeper/tokenkeeper/hack/local"
)

// display shows what happens: a window on a terminal, and lines elsewhere.
type display interface {
	// append tells of something that has happened.
	append(text string)
	// draw shows how everything is now.
	draw(now frame)
	// close gives the terminal back as it was, and reports whether what was shown went with
	// it. It may be called again.
	close() bool
}

// newDisplay makes the display that suits the output. Whoever closes its window, by a key,
// cancels.
func newDisplay(output local.Output, cancel context.CancelFunc) display {
	if term.IsTerminal(int(output.Fd())) && os.Getenv("TERM") != "dumb" {
		return newWindow(output.File, cancel)
	}
	return lines{output}
}

// lines are for what is no terminal, such as a pipe.
type lines struct{ output io.Writer }

func (l lines) append(text string) {
	fmt.Fprintln(l.output, stamped(text, time.Now()))
}

func (lines) draw(frame) {}

func (lines) close() bool { return false }

func stamped(text string, at time.Time) string { return at.Format(time.TimeOnly) + " " + text }
