// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package sealed

import "testing"

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
