// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"
)

// journalLines is how much of the journal stays under the table.
const journalLines = 8

// mostLines is how many are kept, for a terminal that is high.
const mostLines = 100

// unlimited is the width of what is no terminal.
const unlimited = 1 << 10

// screen shows the board and the journal. On a terminal it redraws them in
// place; elsewhere it appends the journal, and the table once, at the end.
type screen struct {
	output   io.Writer
	terminal *os.File // nil: no terminal
	colour   bool
	journal  []string
	drawn    int // lines that the next draw replaces
}

func newScreen(output io.Writer) *screen {
	s := &screen{output: output}
	file, isFile := output.(*os.File)
	if isFile && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb" {
		s.terminal = file
		s.colour = os.Getenv("NO_COLOR") == ""
		fmt.Fprint(output, "\x1b[?25l") // the cursor would jump about
	}
	return s
}

// append adds a line to the journal.
func (s *screen) append(text string) {
	stamped := time.Now().Format(time.TimeOnly) + " " + text
	if s.terminal == nil {
		fmt.Fprintln(s.output, stamped)
		return
	}
	s.journal = append(s.journal, stamped)
	s.journal = s.journal[max(len(s.journal)-mostLines, 0):]
}

// draw replaces what was drawn before, in one write, so that it does not
// flicker.
func (s *screen) draw(board *board, now time.Time) {
	if s.terminal == nil {
		return
	}
	width, height, err := term.GetSize(int(s.terminal.Fd()))
	if err != nil || width < 1 {
		width, height = 80, 24
	}
	lines := append(board.table(now, width), line{})
	shown := max(journalLines, height-len(lines)-2) // a higher terminal shows more of what happened
	for _, text := range s.journal[max(len(s.journal)-shown, 0):] {
		for _, part := range wrapped(text, width) {
			lines = append(lines, line{text: part})
		}
	}
	if over := len(lines) - max(height-1, 1); over > 0 && over < len(lines)-len(board.samples)-2 { // the oldest go
		top := len(board.samples) + 2
		lines = slices.Concat(lines[:top], lines[top+over:])
	}
	lines = lines[:min(len(lines), max(height-1, 1))] // what has scrolled away cannot be replaced
	var text strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dA", s.drawn)
	}
	for _, l := range lines {
		text.WriteString("\r\x1b[2K" + s.coloured(l, width) + "\n")
	}
	text.WriteString("\x1b[J")
	fmt.Fprint(s.output, text.String())
	s.drawn = len(lines)
}

// coloured is a line that does not wrap.
func (s *screen) coloured(l line, width int) string {
	if len(l.text) > width {
		l.text = strings.ToValidUTF8(l.text[:width-1], "") + ">"
	}
	if !s.colour || l.colour == plain {
		return l.text
	}
	return l.colour + l.text + reset
}

// end shows the board for the last time.
func (s *screen) end(board *board, now time.Time) {
	if s.terminal != nil {
		s.draw(board, now)
		return
	}
	fmt.Fprintln(s.output)
	for _, l := range board.table(now, unlimited) {
		fmt.Fprintln(s.output, l.text)
	}
}

// close gives the terminal back as it was.
func (s *screen) close() {
	if s.terminal != nil {
		fmt.Fprint(s.output, "\x1b[?25h\n")
	}
}

// wrapped breaks a text between words; the lines after the first are indented.
func wrapped(text string, width int) []string {
	const indent = "         " // below the time
	var lines []string
	current := ""
	for _, word := range strings.Fields(text) {
		if current != "" && len(current)+1+len(word) > width {
			lines = append(lines, current)
			current = indent + word
			continue
		}
		if current != "" {
			current += " "
		}
		current += word
	}
	return append(lines, current)
}
