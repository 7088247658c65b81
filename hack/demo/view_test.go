// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
)

// update writes the golden files anew: go test ./hack/demo -update
var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// renewed is a credential that is well, some seconds into the 20 of its token's life.
func renewed(name, provider string, seconds int) shown {
	from := noon.Add(-time.Duration(seconds) * time.Second)
	expires := metav1.NewTime(from.Add(20 * time.Second))
	return shown{
		name: name, ready: "True", reason: "TokenValid", provider: provider, expires: &expires,
		life:   screen.Life{From: from, To: expires.Time, Next: from.Add(16 * time.Second)},
		tokens: 12, rotations: 11, state: screen.Ready, refreshed: from,
		message: fmt.Sprintf("the Secret %q holds a token that expires at %s", name+"-token", expires.UTC().Format(time.RFC3339)),
	}
}

func aFrame() frame {
	stalled := renewed("oauth2", "oauth2", 30)
	stalled.state, stalled.ready, stalled.reason = screen.Stalled, "False", "ReauthorizationRequired"
	stalled.message = "the provider refuses the refresh token: have a user go through the provider's consent screen again"
	return frame{
		scene: scene{
			kubeconfig: "/tmp/tokenkeeper-demo-1234567890/kubeconfig",
			tools:      "/home/somebody/.local/share/kubebuilder-envtest/k8s/1.36.3-linux-amd64",
			lifetime:   20 * time.Second, started: noon.Add(-125 * time.Second), operator: 4321,
		},
		rows: []shown{
			renewed("mcs", "mcs", 1), renewed("xiaomi", "xiaomi", 10), stalled,
			renewed("service", "oauth2-client-credentials", 15), {name: "new", ready: "Unknown", reason: "-", provider: "oracle-commerce-store", state: screen.Unseen},
		},
		events: []string{
			"11:59:58 xiaomi: 12th token in xiaomi-mac-token; refresh token rotated (11th)",
			"11:59:59 the operator was killed; it is started again, as process 4321",
			"12:00:00 it is back after 1.2s: 5 of 5 targets hold a valid token still, no refresh token is lost, and 0 calls were made since, for tokens that were due",
		},
		now: noon,
	}
}

// TestView compares the screen with golden files, without colours.
func TestView(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name          string
		width, height int
	}{{"80", 80, 30}, {"160", 160, 40}, {"low", 80, 14}, {"narrow", 40, 24}} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			drawn := aFrame().view(each.width, each.height)
			got, golden := ansi.Strip(drawn)+"\n", filepath.Join("testdata", each.name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the screen is another than %s (-want +got):\n%s", golden, diff)
			}
			lines := strings.Split(drawn, "\n")
			if len(lines) > each.height {
				t.Errorf("it has %d lines, and the terminal %d", len(lines), each.height)
			}
			for _, line := range lines {
				if lipgloss.Width(line) > each.width {
					t.Errorf("a line is wider than %d columns: %q", each.width, line)
				}
			}
		})
	}
}

func TestAScreenBeforeItsSizeIsKnownIsEmpty(t *testing.T) {
	t.Parallel()
	if got := aFrame().view(0, 0) + (frame{}).view(80, 24); got != "" {
		t.Errorf("it shows %q", got)
	}
}

func TestAWideCommandIsStillOneWhenCopied(t *testing.T) {
	t.Parallel()
	const command = "export PATH=/home/somebody/a/long/folder:$PATH"
	lines := continued(command, 20)
	if len(lines) < 3 {
		t.Fatalf("it is not broken: %q", lines)
	}
	if joined := strings.ReplaceAll(strings.Join(lines, "\n"), "\\\n", ""); joined != command {
		t.Errorf("a shell reads %q", joined)
	}
	if got := continued(command, 80); len(got) != 1 || got[0] != command {
		t.Errorf("it is broken although there is room: %q", got)
	}
}

// TestWhatIsNotWellStandsOut looks at colours, which the golden files leave out.
func TestWhatIsNotWellStandsOut(t *testing.T) {
	t.Parallel()
	lines := map[string]string{}
	for _, line := range aFrame().table(160) {
		name, _, _ := strings.Cut(ansi.Strip(line), " ")
		lines[name] = line
	}
	stalled, _, _ := strings.Cut(screen.Colour("x", screen.Stalled), "x")
	good, _, _ := strings.Cut(screen.Good("x"), "x")
	if !strings.HasPrefix(lines["oauth2"], stalled) {
		t.Errorf("what is stalled has another colour: %q", lines["oauth2"])
	}
	if !strings.HasPrefix(lines["mcs"], good) {
		t.Errorf("what has just been renewed has another colour: %q", lines["mcs"])
	}
	if strings.HasPrefix(lines["xiaomi"], "\x1b") {
		t.Errorf("what is as it should be begins with a colour: %q", lines["xiaomi"])
	}
}
