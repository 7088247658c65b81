// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	tea "charm.land/bubbletea/v2"
)

func TestKeysThatEndTheDemo(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		key  tea.KeyPressMsg
		ends bool
	}{
		{tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}, true},
		{tea.KeyPressMsg{Code: 'q', Text: "q"}, true},
		{tea.KeyPressMsg{Code: 'c', Text: "c"}, false},
		{tea.KeyPressMsg{Code: tea.KeyEnter}, false},
	} {
		ended := false
		model{cancel: func() { ended = true }}.Update(each.key)
		if ended != each.ends {
			t.Errorf("%s ends the demo: %t, want %t", each.key, ended, each.ends)
		}
	}
}

func TestAWindowShowsTheLatestFrameInItsSize(t *testing.T) {
	t.Parallel()
	var shown tea.Model = model{}
	for _, message := range []tea.Msg{frame{}, tea.WindowSizeMsg{Width: 80, Height: 24}, aFrame(), tea.WindowSizeMsg{Width: 100, Height: 30}} {
		shown, _ = shown.Update(message)
	}
	if view := shown.View(); view.Content != aFrame().view(100, 30) || !view.AltScreen {
		t.Errorf("it shows, in the terminal's other screen: %t,\n%s", view.AltScreen, view.Content)
	}
}
