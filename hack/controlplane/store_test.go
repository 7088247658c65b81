// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStoreFolder(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason      string
		system      string
		environment map[string]string
		want        string
	}{
		"on Linux it is the XDG data folder": {
			reason:      "setup-envtest prefers XDG_DATA_HOME",
			system:      "linux",
			environment: map[string]string{"HOME": "/home/ada", "XDG_DATA_HOME": "/data"},
			want:        "/data/kubebuilder-envtest",
		},
		"without XDG_DATA_HOME it is below the home folder": {
			reason:      "the XDG specification's default is ~/.local/share",
			system:      "linux",
			environment: map[string]string{"HOME": "/home/ada"},
			want:        "/home/ada/.local/share/kubebuilder-envtest",
		},
		"on a Mac it is in the Library": {
			reason:      "setup-envtest ignores XDG_DATA_HOME there, and adds a prefix",
			system:      "darwin",
			environment: map[string]string{"HOME": "/Users/ada", "XDG_DATA_HOME": "/data"},
			want:        "/Users/ada/Library/Application Support/io.kubebuilder.envtest",
		},
		"without a home there is none": {
			reason: "a relative folder would land wherever the caller happens to be",
			system: "linux",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := storeFolder(c.system, func(key string) string { return c.environment[key] })
			if (err != nil) != (c.want == "") {
				t.Fatalf("%s\nerror: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", c.reason, diff)
			}
		})
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	here := platformSuffix()
	cases := map[string]struct {
		reason  string
		asked   string // 1.36 where it is empty
		folders map[string][]string
		want    string
	}{
		"the newest patch wins, by number": {
			reason:  "10 is newer than 9, though it sorts before it as text",
			folders: map[string][]string{"1.36.9" + here: binaries, "1.36.10" + here: binaries},
			want:    "1.36.10" + here,
		},
		"an incomplete folder is passed over": {
			reason:  "an interrupted download leaves a folder without all programs",
			folders: map[string][]string{"1.36.4" + here: {"etcd"}, "1.36.3" + here: binaries},
			want:    "1.36.3" + here,
		},
		"another minor or another machine's does not serve": {
			reason:  "the tests are written for one minor, and programs run on one platform",
			folders: map[string][]string{"1.35.1" + here: binaries, "1.36.1-plan9-mips": binaries, "1.360.1" + here: binaries},
		},
		"one patch serves where it is asked for": {
			reason:  "a matrix names its versions",
			asked:   "v1.30.4",
			folders: map[string][]string{"1.30.14" + here: binaries, "1.30.4" + here: binaries, "1.36.3" + here: binaries},
			want:    "1.30.4" + here,
		},
		"another patch does not": {
			reason:  "what is tested is what was asked for",
			asked:   "1.30.4",
			folders: map[string][]string{"1.30.14" + here: binaries},
		},
		"the newest patch of a line that is asked for": {
			reason:  "who names a minor wants its fixes",
			asked:   "1.30",
			folders: map[string][]string{"1.30.14" + here: binaries, "1.30.4" + here: binaries, "1.36.3" + here: binaries},
			want:    "1.30.14" + here,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{folder: t.TempDir()}
			wanted := usual
			if c.asked != "" {
				var err error
				if wanted, err = parseVersion(c.asked); err != nil {
					t.Fatal(err)
				}
			}
			for folder, programs := range c.folders {
				fillFolder(t, filepath.Join(s.folder, "k8s", folder), programs)
			}
			found, ok := s.find(wanted)
			if ok != (c.want != "") {
				t.Fatalf("%s\nfound %q", c.reason, found)
			}
			if ok {
				if diff := cmp.Diff(c.want, filepath.Base(found)); diff != "" {
					t.Errorf("%s\n-want +got:\n%s", c.reason, diff)
				}
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1.30": "1.30.x", "1.30.14": "1.30.14", "v1.36.3": "1.36.3",
		"": "", "1": "", "1.30.": "", "1.30.x": "", "2.30": "", "1.36.0-rc.1": "", "../1.30": "",
	} {
		got, err := parseVersion(text)
		if (err == nil) != (want != "") || err == nil && got.pattern() != want {
			t.Errorf("%q is read as %q (%v), want %q", text, got.pattern(), err, want)
		}
	}
}

func TestOwnModuleReplacesPathsByWhatIsPublished(t *testing.T) {
	t.Parallel()
	theirs := "module k8s.io/kubernetes\n\ngo 1.22.0\n\nrequire k8s.io/api v0.0.0\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n"
	want := "module kubernetes.local\n\nrequire k8s.io/kubernetes v1.30.14\n\ngo 1.22.0\n\nrequire k8s.io/api v0.0.0\n\nreplace (\n\tk8s.io/api => k8s.io/api v0.30.14\n)\n"
	if diff := cmp.Diff(want, ownModule(theirs, version{minor: 30, patch: 14})); diff != "" {
		t.Errorf("a module cannot see the paths of one that it requires\n-want +got:\n%s", diff)
	}
}

func TestPlaceMovesOnlyWhatIsComplete(t *testing.T) {
	t.Parallel()
	s := &store{folder: t.TempDir()}
	name := "1.36.3" + platformSuffix()
	fillFolder(t, filepath.Join(s.folder, "k8s", name), []string{"etcd"}) // an older, broken one
	work, err := s.workFolder()
	if err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(work, name)
	fillFolder(t, made, binaries[:2])
	if _, err := s.place(made); err == nil {
		t.Error("place took a folder without kubectl")
	}
	fillFolder(t, made, binaries)
	placed, err := s.place(made)
	if err != nil {
		t.Fatal(err)
	}
	if found, ok := s.find(usual); !ok || found != placed {
		t.Errorf("find gave %q, %v after place put %q", found, ok, placed)
	}
}

func TestWorkFolderRemovesWhatAKilledRunLeft(t *testing.T) {
	t.Parallel()
	s := &store{folder: t.TempDir()}
	left, err := s.workFolder()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.workFolder(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

// fillFolder writes programs that do nothing.
func fillFolder(t *testing.T, folder string, programs []string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		if err := os.WriteFile(filepath.Join(folder, program), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}
