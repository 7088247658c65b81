// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// maxSize is what an image may weigh, as a registry sends it.
const maxSize = 40 << 20

// TestTheSameSourceGivesTheSameBytes builds from two folders and compares all that was
// written.
func TestTheSameSourceGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	for name, arguments := range map[string][]string{
		"an OCI layout of two platforms": {"--output=image"},
		"an archive of one":              {"--output=image.tar", "--platform=linux/amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var first map[string][sha256.Size]byte
			for range 2 {
				folder := t.TempDir()
				build(t, copyOf(t, "testdata/program"), folder, arguments...)
				sums := sumsIn(t, folder)
				if first == nil {
					first = sums
					continue
				}
				if len(sums) != len(first) || len(sums) < 2 {
					t.Errorf("%d files, then %d", len(first), len(sums))
				}
				for file, sum := range sums {
					if first[file] != sum {
						t.Errorf("%s differs from build to build", file)
					}
				}
			}
		})
	}
}

// TestTheManagersImage builds the real one, for this machine's users and for arm64's.
func TestTheManagersImage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds the manager twice")
	}
	folder := t.TempDir()
	digest := build(t, "../..", folder, "--program=./cmd", "--output=image", "--version=v0.0.1-test")
	index, err := layout.ImageIndexFromPath(filepath.Join(folder, "image"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	outer, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := outer.Manifests[0].Digest.String(); got != digest {
		t.Errorf("it printed %s, and the layout has %s", digest, got)
	}
	inner, err := index.ImageIndex(outer.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	platforms := []string{}
	for _, each := range manifest.Manifests {
		platforms = append(platforms, each.Platform.String())
		image, err := inner.Image(each.Digest)
		if err != nil {
			t.Fatal(err)
		}
		isFitToShip(t, image)
		hasBill(t, index, outer.Manifests[1:], each.Digest)
	}
	if got := strings.Join(platforms, " "); got != "linux/amd64 linux/arm64" {
		t.Errorf("it is for %s", got)
	}
}

// isFitToShip checks what people rely on.
func isFitToShip(t *testing.T, image v1.Image) {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, each := range layers {
		length, err := each.Size()
		if err != nil {
			t.Fatal(err)
		}
		total += length
	}
	unpacked, err := io.ReadAll(mutate.Extract(image))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MiB to pull, %.1f MiB unpacked", float64(total)/(1<<20), float64(len(unpacked))/(1<<20))
	if total > maxSize {
		t.Errorf("%d bytes to pull, more than %d", total, maxSize)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("it runs as %q; Kubernetes' runAsNonRoot wants a number other than 0", config.Config.User)
	}
	if got := config.Config.Labels["org.opencontainers.image.version"]; got != "v0.0.1-test" {
		t.Errorf("it calls itself %q", got)
	}
	files := filesOf(t, unpacked)
	if !x509.NewCertPool().AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]) {
		t.Error("it trusts nobody: no provider could be called")
	}
	if !bytes.Contains(files["manager"], []byte("v0.0.1-test")) {
		t.Error("the program does not know its version")
	}
}

// hasBill checks that something refers to the image that lists what it is made of.
func hasBill(t *testing.T, index v1.ImageIndex, artifacts []v1.Descriptor, of v1.Hash) {
	t.Helper()
	for _, each := range artifacts {
		artifact, err := index.Image(each.Digest)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := artifact.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if manifest.Subject == nil || manifest.Subject.Digest != of {
			continue
		}
		layers, err := artifact.Layers()
		if err != nil {
			t.Fatal(err)
		}
		reader, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			SPDXVersion string `json:"spdxVersion"`
			Packages    []struct {
				Name string `json:"name"`
			} `json:"packages"`
		}
		if err := json.NewDecoder(reader).Decode(&document); err != nil {
			t.Fatal(err)
		}
		names := ""
		for _, part := range document.Packages {
			names += part.Name + "\n"
		}
		for _, part := range []string{"manager", "stdlib", "k8s.io/client-go", "golang.org/x/crypto/x509roots/fallback"} {
			if document.SPDXVersion != "SPDX-2.3" || !strings.Contains(names, part+"\n") {
				t.Errorf("the bill of materials lacks %s", part)
			}
		}
		return
	}
	t.Errorf("nothing says what %s is made of", of)
}

func TestAnArchiveIsOneThatEnginesLoad(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	digest := build(t, copyOf(t, "testdata/program"), folder, "--output=image.tar", "--platform=linux/amd64", "--tag=example.com/a:b")
	image, err := tarball.ImageFromPath(filepath.Join(folder, "image.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil || digest == "" {
		t.Errorf("%q: %v", digest, err)
	}
}

func TestParseSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		arguments []string
		want      string
	}{
		"no output":                   {nil, "--output is missing"},
		"two platforms in an archive": {[]string{"--output=a.tar"}, "add --platform linux/amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse(each.arguments); err == nil || !strings.Contains(err.Error(), each.want) {
				t.Errorf("%v does not say %q", err, each.want)
			}
		})
	}
}

// build runs the command with its output in a folder, and gives the digest.
func build(t *testing.T, source, folder string, arguments ...string) string {
	t.Helper()
	o, err := parse(append([]string{"--source=" + source, "--program=."}, arguments...))
	if err != nil {
		t.Fatal(err)
	}
	o.output = filepath.Join(folder, o.output)
	digest, err := run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func copyOf(t *testing.T, folder string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	return copied
}

func sumsIn(t *testing.T, folder string) map[string][sha256.Size]byte {
	t.Helper()
	sums := map[string][sha256.Size]byte{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		relative, _ := filepath.Rel(folder, path)
		sums[relative] = sha256.Sum256(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func filesOf(t *testing.T, packed []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	reader := tar.NewReader(bytes.NewReader(packed))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
}
