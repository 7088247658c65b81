// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// FuzzSpool keeps a reply under any name, and reads files that somebody has changed.
func FuzzSpool(f *testing.F) {
	f.Add("0f8fad5b-d9cb-469f-a165-70867728950e", "the token that was sent", "its successor", []byte("what somebody wrote"))
	f.Add("../../etc/passwd", "", "line\nfeed\x00\xff", []byte{})
	f.Add("..", "a", "b", bytes.Repeat([]byte{0}, 12))
	f.Add("pod", "a", "b", bytes.Repeat([]byte{0}, 64))
	f.Fuzz(func(t *testing.T, attempt, sent, successor string, damage []byte) {
		parent := t.TempDir()
		directory := filepath.Join(parent, "spool")
		if err := os.Mkdir(directory, 0o700); err != nil {
			t.Fatal(err)
		}
		spool, err := Open(directory)
		if err != nil {
			t.Fatal(err)
		}
		err = spool.Put("team", attempt, secret.New(sent), token.Grant{RefreshToken: secret.New(successor)})
		if err != nil || attempt == "" {
			return // no file system takes any name; an attempt's ID is the operator's own
		}
		if left, found := spool.Find(attempt, secret.New(sent)); !found || left.RefreshToken.Reveal() != successor {
			t.Errorf("what was put is not found under %q", attempt)
		}
		file := spool.files.File(attempt)
		checkFiles(t, parent, directory, successor)
		if err := os.WriteFile(file, damage, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, found := spool.Find(attempt, secret.New(sent)); found {
			t.Errorf("a file that somebody wrote is taken for a reply: %q", damage)
		}
		spool.Drop(attempt)
		if _, err := os.Stat(file); err == nil {
			t.Errorf("what was dropped stays: %s", file)
		}
	})
}

// checkFiles looks for files outside of the spool, and for the successor inside.
func checkFiles(t *testing.T, parent, directory, successor string) {
	t.Helper()
	err := filepath.WalkDir(parent, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if filepath.Dir(path) != directory {
			t.Errorf("a file outside of the spool: %s", path)
		}
		content, err := os.ReadFile(path)
		if len(successor) >= 8 && strings.Contains(string(content), successor) {
			t.Errorf("%s holds the successor in clear", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
