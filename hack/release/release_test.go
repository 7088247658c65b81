// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"sigs.k8s.io/yaml"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// aPlan is for a release from this checkout.
func aPlan(t *testing.T) plan {
	t.Helper()
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return plan{version: "v0.1.0", source: source, folder: t.TempDir(), created: noon}
}

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	for version, advice := range map[string]string{
		"v0.1.0": "", "v10.20.30": "", "v1.0.0-rc.1": "",
		"":             "VERSION is missing",
		"0.1.0":        "write VERSION=v0.1.0",
		"v1":           "no semantic version",
		"v1.2":         "no semantic version",
		"v1.2.3+build": "no semantic version", // no tag of an image
		"v01.2.3":      "no semantic version",
		"latest":       "no semantic version",
		"v1.2.3/../..": "no semantic version",
	} {
		err := checkVersion(version)
		if (err == nil) != (advice == "") || err != nil && !strings.Contains(err.Error(), advice) {
			t.Errorf("%q: %v, want %q", version, err, advice)
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	const changelog = "# Changes\n\nWords.\n\n## Unreleased: v0.3.0\n\n- c, [how](docs/c.md#it) and [where](https://c.example), [above](#x)\n\n## v0.2.0 (2026-12-01)\n\n- b\n\n### More\n\n- b2\n\n## [v0.1.0]\n\n"
	cases := []struct {
		name, version string
		isFinal       bool
		want, problem string
	}{
		{name: "a section with a date", version: "v0.2.0", isFinal: true, want: "- b\n\n### More\n\n- b2"},
		{name: "what is not released yet, in a dry run", version: "v0.3.0", want: "- c, [how](https://github.com/tokenkeeper/tokenkeeper/blob/v0.3.0/docs/c.md#it) and [where](https://c.example), [above](#x)"},
		{name: "what is not released yet, in a release", version: "v0.3.0", isFinal: true, problem: `make its heading "## v0.3.0"`},
		{name: "a pre-release has the section of its release", version: "v0.2.0-rc.1", isFinal: true, want: "- b\n\n### More\n\n- b2"},
		{name: "a pre-release of what is not released yet", version: "v0.3.0-rc.1", isFinal: true, want: "- c, [how](https://github.com/tokenkeeper/tokenkeeper/blob/v0.3.0-rc.1/docs/c.md#it) and [where](https://c.example), [above](#x)"},
		{name: "a section without a word", version: "v0.1.0", problem: "says nothing below"},
		{name: "no section", version: "v9.9.9", problem: `no section for v9.9.9`},
		{name: "the beginning of another version", version: "v0.2.01", problem: "no section"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := notes(changelog, c.version, c.isFinal)
			if (err != nil) != (c.problem != "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Fatalf("%v, want %q", err, c.problem)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestTheChangelogHasTheNextRelease holds for whoever prepares it: the chart of the
// checkout has its version.
func TestTheChangelogHasTheNextRelease(t *testing.T) {
	t.Parallel()
	loaded, err := loader.Load("../../charts/tokenkeeper")
	if err != nil {
		t.Fatal(err)
	}
	changelog, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	version := loaded.Metadata.AppVersion
	if _, err := notes(string(changelog), version, false); err != nil || version != "v"+loaded.Metadata.Version {
		t.Errorf("the chart installs %s and is %s itself: %v", version, loaded.Metadata.Version, err)
	}
}

func TestArchivesHoldWhatTheyGotAndNothingOfTheMoment(t *testing.T) {
	t.Parallel()
	want := []file{{"LICENSE", 0o644, []byte("licence")}, {"program", 0o755, []byte("text")}}
	for _, name := range []string{"a.tar.gz", "a.zip"} {
		folder := t.TempDir()
		sums := []string{}
		for _, each := range []string{"1-" + name, "2-" + name} {
			path := filepath.Join(folder, each)
			if err := pack(path, want, noon); err != nil {
				t.Fatal(err)
			}
			got, err := unpack(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(file{})); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", each, diff)
			}
			sum, err := sumOf(path)
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, sum)
		}
		if sums[0] != sums[1] {
			t.Errorf("%s: the same files give other bytes", name)
		}
	}
}

const aDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestTheInstallerNamesTheImage(t *testing.T) {
	t.Parallel()
	p := aPlan(t)
	if err := writeInstaller(p, repository+":v0.1.0@"+aDigest); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.path(installerName))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "image: "+repository+":v0.1.0@"+aDigest+"\n") || strings.Contains(string(text), ":latest") {
		t.Error("what is installed is not the release's image")
	}
}

func TestTheChartNamesVersionAndImageAndIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	sums := []string{}
	for range 2 {
		p := aPlan(t)
		p.version = "v7.8.9"
		if err := writeChart(p, aDigest); err != nil {
			t.Fatal(err)
		}
		rendered, err := renderChart(p, aDigest)
		if err != nil {
			t.Fatal(err)
		}
		if want := "app.kubernetes.io/version: \"v7.8.9\""; !strings.Contains(string(rendered), want) {
			t.Errorf("what the chart installs is not labelled %s", want)
		}
		sum, err := sumOf(p.path("tokenkeeper-7.8.9.tgz"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sum)
	}
	if sums[0] != sums[1] {
		t.Error("the same chart gives other bytes")
	}
}

func TestKrewFindsTheArchives(t *testing.T) {
	t.Parallel()
	p := aPlan(t)
	made, err := packProgram(p, pluginName, pluginName+".exe", platform{"windows", "amd64"}, thisProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeKrew(p, []archive{made}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.path(krewName))
	if err != nil {
		t.Fatal(err)
	}
	got := krewPlugin{}
	if err := yaml.UnmarshalStrict(text, &got); err != nil {
		t.Fatal(err)
	}
	sum, err := sumOf(p.path("kubectl-tokencredential_v0.1.0_windows_amd64.zip"))
	if err != nil {
		t.Fatal(err)
	}
	want := []krewPlatform{{
		Selector: krewSelector{map[string]string{"os": "windows", "arch": "amd64"}},
		URI:      home + "/releases/download/v0.1.0/kubectl-tokencredential_v0.1.0_windows_amd64.zip",
		SHA256:   sum,
		Files:    []krewFile{{"kubectl-tokencredential.exe", "."}, {"LICENSE", "."}},
		Bin:      "kubectl-tokencredential.exe",
	}}
	if diff := cmp.Diff(want, got.Spec.Platforms); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(got.Spec.ShortDescription) > 50 || got.Metadata["name"] != "tokencredential" {
		t.Errorf("%s: %q is more than krew shows on a line", got.Metadata["name"], got.Spec.ShortDescription)
	}
}

// thisProgram is one that Go has built: this test.
func thisProgram(t *testing.T) []byte {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	const first = "aa  same\nbb  other\ncc  gone\n"
	if diff := cmp.Diff([]string{"other", "new", "gone"}, differences(first, "aa  same\nb0  other\ndd  new\n")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if found := differences(first, first); len(found) > 0 {
		t.Errorf("a list differs from itself: %v", found)
	}
}
