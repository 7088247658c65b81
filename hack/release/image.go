// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// layoutName is the folder that hack/image writes: an OCI layout
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
const layoutName = "image"

// image is the manager's, for all its platforms.
type image struct {
	digest    string // of the index
	reference string // by which it is pulled, version and digest
	managers  []manager
}

// manager is the program of one platform's image.
type manager struct {
	platform platform
	content  []byte
}

// buildImage has hack/image build the image, and packs the layout for people without a
// registry at hand.
func buildImage(ctx context.Context, p plan) (image, error) {
	command := exec.CommandContext(ctx, "go", "run", "-C", filepath.Join(p.source, "hack", "image"), ".", //nolint:gosec // the source is a developer's own
		"--source", p.source, "--output", p.path(layoutName), "--version", p.version)
	command.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", p.created.Unix()))
	command.Stderr = os.Stderr
	digest, err := outputOf(command)
	if err != nil {
		return image{}, err
	}
	made := image{digest: digest, reference: repository + ":" + p.version + "@" + digest}
	if made.managers, err = managersOf(p.path(layoutName), digest); err != nil {
		return made, err
	}
	if err := renameBills(p); err != nil {
		return made, err
	}
	return made, packLayout(p)
}

// renameBills gives the bills of materials that hack/image writes beside its output the
// names that all have.
func renameBills(p plan) error {
	const beside = layoutName + "."
	bills, err := filepath.Glob(p.path(beside + "*.spdx.json"))
	if err != nil || len(bills) == 0 {
		return fmt.Errorf("hack/image wrote no bill of materials (%w)", err)
	}
	for _, bill := range bills {
		on := strings.ReplaceAll(strings.TrimPrefix(filepath.Base(bill), beside), "-", "_")
		if err := os.Rename(bill, p.path(imageStem(p)+"_"+on)); err != nil {
			return err
		}
	}
	return nil
}

func imageStem(p plan) string { return "tokenkeeper-image_" + p.version }

// packLayout writes the layout as one file, which skopeo, podman and ctr read.
func packLayout(p plan) error {
	files, root := []file{}, os.DirFS(p.path(layoutName))
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		files = append(files, file{name: name, mode: 0o644, content: content})
		return err
	})
	if err != nil {
		return err
	}
	target, err := os.Create(p.path(imageStem(p) + ".oci.tar"))
	if err != nil {
		return err
	}
	if err := writeTar(target, files, p.created); err != nil {
		return err
	}
	return target.Close()
}

// indexOf opens the image in a layout.
func indexOf(folder, digest string) (v1.ImageIndex, error) {
	all, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		return nil, fmt.Errorf("hack/image printed %q where a digest belongs: %w", digest, err)
	}
	return all.ImageIndex(hash)
}

// managersOf reads the programs out of the images, so that what people download is what
// runs in a cluster.
func managersOf(folder, digest string) ([]manager, error) {
	index, err := indexOf(folder, digest)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	managers := []manager{}
	for _, each := range manifest.Manifests {
		one, err := index.Image(each.Digest)
		if err != nil {
			return nil, err
		}
		content, err := managerIn(one)
		if err != nil {
			return nil, err
		}
		managers = append(managers, manager{platform{each.Platform.OS, each.Platform.Architecture}, content})
	}
	return managers, nil
}

func managerIn(one v1.Image) ([]byte, error) {
	content := mutate.Extract(one)
	defer func() { _ = content.Close() }()
	files, err := readTar(content)
	if err != nil {
		return nil, err
	}
	for _, each := range files {
		if each.name == "manager" {
			return each.content, nil
		}
	}
	return nil, fmt.Errorf("the image holds no program that is named manager")
}
