// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestANoteComesBackAsItWas(t *testing.T) {
	t.Parallel()
	sent := Note{Now: noon.Add(time.Millisecond), ID: "id", Outputs: map[string]any{"nonce": "n\xff", "count": int64(1 << 60)}}
	encoded, err := sent.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sent, NoteOf(encoded, noon.Add(time.Hour))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWhatANoteLacksIsAsIfNothingHadBeenKnown reads notes that another version wrote, or
// nobody.
func TestWhatANoteLacksIsAsIfNothingHadBeenKnown(t *testing.T) {
	t.Parallel()
	claimed := noon.Add(time.Millisecond)
	for _, each := range []struct {
		name, note string
		want       Note
	}{
		{"no note", "", Note{Now: noon}},
		{"not JSON", "none", Note{Now: noon}},
		{"not an object", `["now"]`, Note{Now: noon}},
		{"a time that is none", `{"now": "noon", "id": "1"}`, Note{Now: noon, ID: "1"}},
		{"an ID that is none", `{"now": "2026-11-22T13:00:00Z", "id": 7}`, Note{Now: noon.Add(time.Hour)}},
		{"outputs that are none", `{"outputs": "x"}`, Note{Now: noon}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(each.want, NoteOf([]byte(each.note), claimed)); diff != "" {
				t.Errorf("(-want +got):\n%s\nreason: a reply is read all the same, at the second of its claim", diff)
			}
		})
	}
}
