// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, directory string) *Spool {
	t.Helper()
	spool, err := Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	return spool
}

func TestTheSpoolCarriesAGrantOverARestart(t *testing.T) {
	t.Parallel()
	directory, sent := t.TempDir(), secret.New("the token that was sent")
	const attempt = "0f8fad5b-d9cb-469f-a165-70867728950e"
	grant := token.Grant{
		Token: token.Token{
			AccessToken: secret.New("the access token"), Type: "mac",
			Validity: token.Validity{IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)},
			Outputs:  map[string]any{"scope": "1 3"},
		},
		RefreshToken: secret.New("the new one\n\x00\xff"), RefreshTokenExpiresAt: noon.Add(24 * time.Hour),
	}
	if err := open(t, directory).Put("team", attempt, sent, grant); err != nil {
		t.Fatal(err)
	}
	after := open(t, directory)
	got, found := after.Find(attempt, sent)
	if diff := cmp.Diff(grant, got, cmp.Comparer(secret.Text.Equal)); !found || diff != "" {
		t.Errorf("a process that comes after finds what was left (-want +got):\n%s", diff)
	}
	if _, found := after.Find("another", sent); found {
		t.Error("what was left of one attempt is not taken for another's")
	}
	if _, found := after.Find(attempt, secret.New("another token")); found {
		t.Error("a file must not open without the token that was sent")
	}
	after.Drop(attempt)
	if _, found := after.Find(attempt, sent); found {
		t.Error("what was committed is dropped")
	}
}

func TestAFileOfTheSpoolDisclosesNothing(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a file of the spool")
	directory := t.TempDir()
	if err := open(t, directory).Put("team", "1", secret.New("sent"), token.Grant{RefreshToken: secret.New("canary")}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(directory, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("the spool holds %v (%v), want the pod's identity and one sealed file", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte("canary")) || bytes.Contains(content, []byte("Y2FuYXJ5")) {
			t.Errorf("%s holds a token in clear", filepath.Base(file))
		}
	}
}

func TestPredecessorIsAnEarlierProcessOfThisPod(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	before, after, elsewhere := open(t, directory), open(t, directory), open(t, t.TempDir())
	earlier, own := before.Holder("a"), after.Holder("b")
	cases := map[string]struct {
		reason string
		spool  *Spool
		holder string
		want   bool
	}{
		"an earlier process of this pod": {"its container was restarted, so it is gone", after, earlier, true},
		"this very process":              {"it is not its own predecessor", after, own, false},
		"a process of another pod":       {"it may be alive", after, elsewhere.Holder("a"), false},
		"without a spool":                {"pods have no identity to compare", nil, earlier, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.spool.Predecessor(c.holder, own); got != c.want {
				t.Errorf("%s: got %t, want %t", c.reason, got, c.want)
			}
		})
	}
}

func TestNoDirectoryIsNoSpool(t *testing.T) {
	t.Parallel()
	spool := open(t, "")
	if err := spool.Put("team", "1", secret.New("sent"), token.Grant{}); err != nil {
		t.Errorf("without a spool nothing is kept, and nothing fails: %v", err)
	}
	if _, found := spool.Find("1", secret.New("sent")); found || spool.Holder("a") != "a" {
		t.Error("without a spool nothing is found")
	}
	if _, err := Open("/does/not/exist"); err == nil || !strings.Contains(err.Error(), "spool") {
		t.Errorf("a directory that cannot be used is an error that says so, got %v", err)
	}
}
