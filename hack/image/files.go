// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is the one that Kubernetes' runAsNonRoot wants: a number, and not 0. Distroless
// images call it nonroot.
const user = 65532

// file is one in the image.
type file struct {
	name    string
	mode    int64
	content []byte // a name that ends in / is a folder
}

// baseFiles are those that the program needs around it.
func baseFiles() []file {
	return []file{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", user)},
		{name: "etc/passwd", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/:/sbin/nologin\n", user, user)},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: authorities()},
	}
}

// authorities are the certificates that Mozilla trusts, as the Go project publishes
// them: pinned in go.sum, so the same on every machine. One that is trusted for some
// sites or days alone is left out, since a file of certificates cannot say so.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return text.Bytes()
}

// layer packs files, in the order given, all with one time and root as owner.
func layer(files []file, at time.Time) (v1.Layer, error) {
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	for _, each := range files {
		header := &tar.Header{Name: each.name, Mode: each.mode, Size: int64(len(each.content)), ModTime: at, Format: tar.FormatPAX, Typeflag: tar.TypeReg}
		if each.name[len(each.name)-1] == '/' {
			header.Typeflag = tar.TypeDir
		}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(each.content); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed.Bytes())), nil
	}, tarball.WithCompressedCaching, tarball.WithMediaType("application/vnd.oci.image.layer.v1.tar+gzip"))
}

// modulesOfFiles are the modules that the files were taken from: this program carries them.
func modulesOfFiles() []*debug.Module {
	found := []*debug.Module{}
	if own, ok := debug.ReadBuildInfo(); ok {
		for _, module := range own.Deps {
			if module.Path == "golang.org/x/crypto/x509roots/fallback" {
				found = append(found, module)
			}
		}
	}
	return found
}
