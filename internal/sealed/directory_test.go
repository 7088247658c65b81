// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, path string) *Directory {
	t.Helper()
	directory, err := OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	return directory
}

func TestANameNeverLeadsOutOfTheDirectory(t *testing.T) {
	t.Parallel()
	directory := open(t, t.TempDir())
	if file := directory.File("../../etc/passwd"); filepath.Dir(file) != directory.path {
		t.Errorf("an ID that someone wrote into a state Secret leads to %s", file)
	}
}

func TestWhatNobodyAsksForIsSweptInTheEnd(t *testing.T) {
	t.Parallel()
	path, content := t.TempDir(), []byte("sealed")
	before := open(t, path)
	for _, name := range []string{"old", "young"} {
		if err := before.Put("team", name, content); err != nil {
			t.Fatal(err)
		}
	}
	partial := filepath.Join(path, "partial.sealed.tmp")
	if err := os.WriteFile(partial, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	written := noon.Add(-LongestKept)
	for name, at := range map[string]time.Time{"old": written.Add(-time.Second), "young": written} {
		if err := os.Chtimes(before.File(name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	after := open(t, path)
	if _, err := os.Stat(partial); err == nil {
		t.Error("what was being written when the process before ended stays")
	}
	if err := after.Put("team", "own", content); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(after.File("own"), time.Time{}.Add(time.Hour), noon.Add(-2*LongestKept)); err != nil {
		t.Fatal(err)
	}
	after.Sweep(noon)
	for name, want := range map[string]bool{"old": false, "young": true, "own": true} {
		if _, found := after.Find(name); found != want {
			t.Errorf("%s: found: %t, want %t: what this process keeps, or an earlier one has left lately, may still be asked for", name, found, want)
		}
	}
	if left := after.shares.left(); len(left) != 1 {
		t.Errorf("%v count as left, want the young one", left)
	}
}

func TestWhatIsSealedOpensWithItsKeyAlone(t *testing.T) {
	t.Parallel()
	keyOf := func(sent, id, purpose string) secret.Text {
		key, err := Key(secret.New(sent), id, purpose)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	content, err := Seal(keyOf("sent", "1", "spool"), []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range []struct {
		name, reason      string
		sent, id, purpose string
		want              bool
	}{
		{"the same token, attempt and purpose", "who has the token reads the reply to it", "sent", "1", "spool", true},
		{"another token", "without the token that was sent nothing opens", "other", "1", "spool", false},
		{"another attempt", "the reply to one attempt is not taken for another's", "sent", "2", "spool", false},
		{"another purpose", "files of two packages are not taken for each other's", "sent", "1", "courier", false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			plain, opened := Open(keyOf(each.sent, each.id, each.purpose), content)
			if opened != each.want || opened && string(plain) != "plain" {
				t.Errorf("opened: %t (%q), want %t\nreason: %s", opened, plain, each.want, each.reason)
			}
		})
	}
	if _, opened := Open(secret.Text{}, content); opened {
		t.Error("no key opens a file")
	}
}
