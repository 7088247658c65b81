// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/sealed"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// TestATenantThatFillsTheSpoolLeavesRoomForOthers is the attack: what its provider sends
// can never be saved.
func TestATenantThatFillsTheSpoolLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a spool full of what cannot be saved")
	directory := t.TempDir()
	s := open(t, directory)
	large := token.Grant{RefreshToken: secret.New(strings.Repeat("r", 200<<10))}
	kept := 0
	for s.HasRoom("flood") && kept < 1000 {
		if err := s.Put("flood", fmt.Sprint(kept), secret.New("sent"), large); err != nil {
			t.Fatalf("a reply finds no room although one was promised: %v", err)
		}
		kept++
	}
	if kept == 1000 || s.files.Size() > sealed.Capacity/2 {
		t.Fatalf("the flood has %d replies in %d bytes, want half of %d at most", kept, s.files.Size(), sealed.Capacity)
	}
	again := open(t, directory) // another process of the pod
	for name, spool := range map[string]*Spool{"beside it": s, "after a restart": again} {
		if !spool.HasRoom("shop") {
			t.Errorf("%s another namespace finds no room", name)
		}
	}
	if again.files.Size() != s.files.Size() {
		t.Errorf("after a restart %d bytes are counted, want %d: they are there still", again.files.Size(), s.files.Size())
	}
	for i := range kept {
		again.Drop(fmt.Sprint(i))
	}
	if again.files.Size() != 0 {
		t.Errorf("%d bytes are counted of what was dropped", again.files.Size())
	}
}

func TestAReplyForWhichThereIsNoRoomIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	tooMuch := token.Grant{RefreshToken: secret.New(strings.Repeat("canary", sealed.Capacity/6))}
	err := s.Put("flood", "1", secret.New("sent"), tooMuch)
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %.200v, want an error without what was to be kept", err)
	}
	if _, found := s.Find("1", secret.New("sent")); found || s.files.Size() != 0 {
		t.Errorf("what was refused is there: %t, %d bytes", found, s.files.Size())
	}
}

func TestNoSpoolHasRoomForEverybody(t *testing.T) {
	t.Parallel()
	var s *Spool
	if !s.HasRoom("team") {
		t.Error("without a spool nothing waits for room in it")
	}
}
