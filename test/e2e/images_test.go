// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// pullsFromHere has the node pull images from a registry in this process, whatever registry
// their names say, until the test ends: so a manifest runs as it is published, under the
// names that it has. They are keyed by the name without the registry.
func pullsFromHere(t *testing.T, images map[string]v1.Image) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(env.host, "0"))
	must(t, err)
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	for image, content := range images {
		reference, err := name.ParseReference(listener.Addr().String()+"/"+image, name.Insecure)
		must(t, err)
		must(t, remote.Write(reference, content, remote.WithContext(t.Context())))
	}
	// https://github.com/containerd/containerd/blob/main/docs/hosts.md
	folder := filepath.Join(env.node, "etc", "registries", "_default")
	must(t, os.MkdirAll(folder, 0o700))
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	must(t, os.WriteFile(filepath.Join(folder, "hosts.toml"), fmt.Appendf(nil, "[host.\"http://%s\"]\ncapabilities = [\"pull\", \"resolve\"]\n", listener.Addr()), 0o600))
}

// imageOfManager is what `make image` builds.
func imageOfManager(t *testing.T) v1.Image {
	t.Helper()
	source, err := filepath.Abs(repository)
	must(t, err)
	file := filepath.Join(t.TempDir(), "manager.tar")
	must(t, buildImage(t.Context(), file, source, "./cmd", "manager", managerImage))
	image, err := tarball.ImageFromPath(file, nil)
	must(t, err)
	return image
}

// imageOfCurl stands in for curlimages/curl, as far as the pages use it: a shell, cat,
// sleep and curl, those of this machine with their libraries.
func imageOfCurl(t *testing.T) v1.Image {
	t.Helper()
	libraries := regexp.MustCompile(`(?m)(/\S+) \(0x`)
	files := map[string]string{} // where it is here, by where it is there
	for _, program := range []string{"sh", "cat", "sleep", "curl"} {
		found, err := exec.LookPath(program)
		if err != nil {
			t.Skipf("there is no %s on this machine for an image that has it", program)
		}
		files["bin/"+program] = found
		needs, err := exec.CommandContext(t.Context(), "ldd", found).Output()
		must(t, err)
		for _, library := range libraries.FindAllStringSubmatch(string(needs), -1) {
			files[library[1][1:]] = library[1]
		}
	}
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	for to, from := range files {
		content, err := os.ReadFile(from)
		must(t, err)
		must(t, writer.WriteHeader(&tar.Header{Name: to, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}))
		_, err = writer.Write(content)
		must(t, err)
	}
	must(t, writer.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
	must(t, err)
	image, err := mutate.AppendLayers(empty.Image, layer)
	must(t, err)
	config, err := image.ConfigFile()
	must(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Env = "linux", runtime.GOARCH, []string{"PATH=/bin"}
	image, err = mutate.ConfigFile(image, config)
	must(t, err)
	return image
}
