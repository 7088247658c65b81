// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"
)

// mostEvents is how many are kept, for a terminal that is high.
const mostEvents = 100

// window fills a terminal, until it is closed.
type window struct {
	program *tea.Program
	events  []string
	closed  bool
	ended   chan struct{} // closed once the program has ended
	failure error         // why it has; nil: it was told to
}

// newWindow opens a window. A key that closes it cancels, as a signal does.
func newWindow(terminal *os.File, cancel context.CancelFunc) *window {
	options := []tea.ProgramOption{tea.WithOutput(terminal), tea.WithoutSignalHandler()}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		options = append(options, tea.WithInput(nil)) // keys go elsewhere
	}
	w := &window{program: tea.NewProgram(model{cancel: cancel}, options...), ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		_, w.failure = w.program.Run()
		cancel() // a terminal that cannot be drawn on has gone
	}()
	return w
}

func (w *window) append(text string) {
	w.events = append(w.events, stamped(text, time.Now()))
	w.events = w.events[max(len(w.events)-mostEvents, 0):]
}

func (w *window) draw(now frame) {
	now.events = slices.Clone(w.events)
	w.program.Send(now)
}

func (w *window) close() bool {
	if w.closed {
		return false
	}
	w.closed = true
	w.program.Quit()
	<-w.ended
	if w.failure != nil {
		fmt.Fprintln(os.Stderr, "demo: the screen:", w.failure)
	}
	return true
}

// model is bubbletea's: the latest frame, and the size of the terminal.
type model struct {
	cancel        context.CancelFunc
	frame         frame
	width, height int
}

// Init implements tea.Model.
func (m model) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (m model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case frame:
		m.frame = message
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case tea.KeyPressMsg:
		switch message.String() {
		case "ctrl+c", "q":
			m.cancel()
		}
	}
	return m, nil
}

// View implements tea.Model.
func (m model) View() tea.View {
	view := tea.NewView(m.frame.view(m.width, m.height))
	view.AltScreen, view.WindowTitle = true, "TokenKeeper demo"
	return view
}
