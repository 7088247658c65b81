// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestANamespaceMayFillHalfOfWhatOthersLeave(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		others, size int
		want         bool
	}{
		{"just half of the spool, while nobody else has anything", "the bound is inclusive", 0, Capacity / 2, true},
		{"a page more", "another namespace must find room", 0, Capacity/2 + page, false},
		{"half of what another leaves", "that is its part", Capacity / 2, Capacity / 4, true},
		{"a page more than half of what another leaves", "a third must find room", Capacity / 2, Capacity/4 + page, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := &shares{}
			if !s.add("theirs", "other", each.others) {
				t.Fatal("the other finds no room")
			}
			size := each.size / page * page
			if room := s.room("team", size); room != each.want {
				t.Errorf("there is room for %d bytes: %t, want %t\nreason: %s", size, room, each.want, each.reason)
			}
			if added := s.add("ours", "team", size); added != each.want {
				t.Errorf("%d bytes are taken: %t, want %t\nreason: %s", size, added, each.want, each.reason)
			}
			s.drop("ours")
			s.drop("theirs")
			if s.total != 0 || len(s.files)+len(s.namespaces) > 0 {
				t.Errorf("%d bytes of %v are counted still", s.total, s.namespaces)
			}
		})
	}
}

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
	if kept == 1000 || s.shares.total > Capacity/2 {
		t.Fatalf("the flood has %d replies in %d bytes, want half of %d at most", kept, s.shares.total, Capacity)
	}
	again := open(t, directory) // another process of the pod
	for name, spool := range map[string]*Spool{"beside it": s, "after a restart": again} {
		if !spool.HasRoom("shop") {
			t.Errorf("%s another namespace finds no room", name)
		}
	}
	if again.shares.total != s.shares.total {
		t.Errorf("after a restart %d bytes are counted, want %d: they are there still", again.shares.total, s.shares.total)
	}
	for i := range kept {
		again.Drop(fmt.Sprint(i))
	}
	if again.shares.total != 0 {
		t.Errorf("%d bytes are counted of what was dropped", again.shares.total)
	}
}

func TestAReplyForWhichThereIsNoRoomIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	tooMuch := token.Grant{RefreshToken: secret.New(strings.Repeat("canary", Capacity/6))}
	err := s.Put("flood", "1", secret.New("sent"), tooMuch)
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %.200v, want an error without what was to be kept", err)
	}
	if _, found := s.Find("1", secret.New("sent")); found || s.shares.total != 0 {
		t.Errorf("what was refused is there: %t, %d bytes", found, s.shares.total)
	}
}

func TestNoSpoolHasRoomForEverybody(t *testing.T) {
	t.Parallel()
	var s *Spool
	if !s.HasRoom("team") {
		t.Error("without a spool nothing waits for room in it")
	}
}
