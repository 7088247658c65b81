// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tokenkeeper/tokenkeeper/hack/image/program"
)

// spdxType is the media type of a bill of materials
// (https://www.iana.org/assignments/media-types/application/spdx+json).
const spdxType = types.MediaType("application/spdx+json")

// platformImage is the image of one platform with its bill of materials.
type platformImage struct {
	platform v1.Platform
	image    v1.Image
	bill     []byte
}

// buildPlatform compiles the program and puts it into an image.
func buildPlatform(ctx context.Context, o options, from origin, platform string) (*platformImage, error) {
	system, architecture, ok := strings.Cut(platform, "/")
	if !ok || system != "linux" {
		return nil, fmt.Errorf("images are for linux/ARCHITECTURE, such as linux/amd64")
	}
	fmt.Fprintf(os.Stderr, "Building the program for %s (minutes the first time) ...\n", platform)
	built, err := program.Source{Folder: o.source, Package: o.program, Version: o.version}.Compile(ctx, system, architecture)
	if err != nil {
		return nil, err
	}
	bill, err := built.Bill(program.About{
		Name: o.name, Version: cmp.Or(o.version, "devel"), Platform: platform, Created: from.created,
		Tool: "tokenkeeper-image", Beside: modulesOfFiles(),
	})
	if err != nil {
		return nil, err
	}
	image, err := assemble(o, from, v1.Platform{OS: system, Architecture: architecture}, built)
	if err != nil {
		return nil, err
	}
	return &platformImage{platform: v1.Platform{OS: system, Architecture: architecture}, image: image, bill: bill}, nil
}

// assemble makes an image of the files around the program, which seldom change, and the
// program.
func assemble(o options, from origin, platform v1.Platform, built *program.Program) (v1.Image, error) {
	base, err := layer(baseFiles(), from.created)
	if err != nil {
		return nil, err
	}
	top, err := layer([]file{{name: o.name, mode: 0o755, content: built.Bytes}}, from.created)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	config := v1.Config{
		User:       fmt.Sprintf("%d:%d", user, user),
		Entrypoint: []string{"/" + o.name},
		WorkingDir: "/",
		Env:        []string{"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		Labels:     labels(o, from),
	}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture,
		Created: v1.Time{Time: from.created}, Config: config, RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	created := v1.Time{Time: from.created}
	image, err = mutate.Append(image,
		mutate.Addendum{Layer: base, History: v1.History{Created: created, CreatedBy: "certificates and users"}},
		mutate.Addendum{Layer: top, History: v1.History{Created: created, CreatedBy: "go build " + o.program}},
	)
	if err != nil {
		return nil, err
	}
	return annotated(image, o, from), nil
}

// labels are what https://specs.opencontainers.org/image-spec/annotations/ calls
// annotations; they stand in the config, where people look, and in the manifest.
func labels(o options, from origin) map[string]string {
	const prefix = "org.opencontainers.image."
	all := map[string]string{
		prefix + "title":         "TokenKeeper",
		prefix + "description":   "Keeps OAuth access tokens fresh in Kubernetes Secrets.",
		prefix + "source":        "https://github.com/tokenkeeper/tokenkeeper",
		prefix + "documentation": "https://github.com/tokenkeeper/tokenkeeper/tree/main/docs",
		prefix + "licenses":      "Apache-2.0",
		prefix + "version":       cmp.Or(o.version, "devel"),
	}
	if from.commit != "" {
		all[prefix+"revision"] = from.commit
	}
	return all
}

func annotated(image v1.Image, o options, from origin) v1.Image {
	return mutate.Annotations(image, labels(o, from)).(v1.Image)
}

// writeArchive writes the image as a file for docker, podman and ctr.
func writeArchive(o options, built *platformImage) (string, error) {
	tag, err := name.NewTag(o.tag)
	if err != nil {
		return "", fmt.Errorf("--tag: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(o.output), 0o750); err != nil {
		return "", err
	}
	if err := tarball.WriteToFile(o.output, tag, built.image); err != nil {
		return "", err
	}
	if err := writeBill(o.output, built); err != nil {
		return "", err
	}
	digest, err := built.image.Digest()
	return digest.String(), err
}

// writeLayout writes an index of the images as an OCI layout, and beside the index the
// bills of materials as what refers to an image
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md, "subject").
func writeLayout(o options, from origin, built []*platformImage) (string, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, each := range built {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: each.image, Descriptor: v1.Descriptor{Platform: &each.platform}})
	}
	index = mutate.Annotations(index, labels(o, from)).(v1.ImageIndex)
	// What an earlier run left would stay in the folder as blobs that nothing names.
	if err := os.RemoveAll(filepath.Join(o.output, "blobs")); err != nil {
		return "", err
	}
	at, err := layout.Write(o.output, empty.Index)
	if err != nil {
		return "", err
	}
	tag := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": cmp.Or(o.version, "latest")})
	if err := at.AppendIndex(index, tag); err != nil {
		return "", err
	}
	for _, each := range built {
		if err := writeBill(o.output, each); err != nil {
			return "", err
		}
		referrer, err := refer(each)
		if err != nil {
			return "", err
		}
		if err := at.AppendImage(referrer); err != nil {
			return "", err
		}
	}
	digest, err := index.Digest()
	return digest.String(), err
}

// refer makes an artifact of the bill of materials, whose subject is the image.
func refer(built *platformImage) (v1.Image, error) {
	subject, err := partial.Descriptor(built.image)
	if err != nil {
		return nil, err
	}
	artifact := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), spdxType)
	artifact, err = mutate.AppendLayers(artifact, static.NewLayer(built.bill, spdxType))
	if err != nil {
		return nil, err
	}
	return mutate.Subject(artifact, *subject).(v1.Image), nil
}

// writeBill writes the bill of materials beside the output.
func writeBill(output string, built *platformImage) error {
	path := fmt.Sprintf("%s.%s-%s.spdx.json", strings.TrimSuffix(output, ".tar"), built.platform.OS, built.platform.Architecture)
	return os.WriteFile(path, built.bill, 0o644) //nolint:gosec // for everybody to read
}
