// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command image builds the manager's image without a container engine: the static
// program that the Dockerfile builds too, the certificates of public authorities, a
// user that is not root, and nothing else.
//
//	go run -C hack/image . --output dist/image                    # an OCI layout, every platform
//	go run -C hack/image . --output dist/image.tar --platform linux/amd64
//
// A file name that ends in .tar asks for an archive of one platform, which
// `docker load`, `podman load` and `ctr images import` take; anything else names a
// folder for an OCI layout, which crane and skopeo push. The bill of materials (SPDX)
// goes beside it, as <output>.<os>-<arch>.spdx.json, and into the layout as what the
// image refers to.
//
// The same source, version and Go toolchain give the same bytes, on any machine. It
// prints the digest, and nothing else on standard output. It pushes nothing.
//
// It is a module of its own, so that its libraries are no part of the operator's.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// options are what the image is to be.
type options struct {
	source    string   // the checkout
	program   string   // the package in it to build
	name      string   // of the program in the image
	version   string   // that the program says and the image is labelled with
	output    string   // a .tar file, or a folder
	tag       string   // the name that an archive brings
	platforms []string // such as linux/amd64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil {
		var digest string
		if digest, err = run(ctx, o); err == nil {
			fmt.Println(digest)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "image:", err)
	os.Exit(1)
}

func parse(arguments []string) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.source, "source", "../..", "the checkout to build from")
	flags.StringVar(&o.program, "program", "./cmd", "the package to build; it becomes the image's entry point")
	flags.StringVar(&o.name, "name", "manager", "what the program is called in the image")
	flags.StringVar(&o.version, "version", "", "the version, such as v0.1.0 (default: none, a development build)")
	flags.StringVar(&o.output, "output", "", "where to: FILE.tar for an archive of one platform, else a folder for an OCI layout")
	flags.StringVar(&o.tag, "tag", "ghcr.io/tokenkeeper/tokenkeeper:latest", "the name of the image in an archive")
	platforms := flags.String("platform", "linux/amd64,linux/arm64", "the platforms")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if o.output == "" {
		return o, fmt.Errorf("--output is missing: name a file that ends in .tar, or a folder")
	}
	o.platforms = strings.Split(*platforms, ",")
	if o.isArchive() && len(o.platforms) != 1 {
		return o, fmt.Errorf("an archive holds one platform, not %d: add --platform linux/amd64, or name a folder with --output", len(o.platforms))
	}
	return o, nil
}

// isArchive reports whether a single file is asked for.
func (o options) isArchive() bool { return filepath.Ext(o.output) == ".tar" }

// run builds every platform's image and writes them; it gives the digest of what a
// registry would serve under the tag.
func run(ctx context.Context, o options) (string, error) {
	origin, err := readOrigin(ctx, o.source)
	if err != nil {
		return "", err
	}
	built := make([]*platformImage, 0, len(o.platforms))
	for _, platform := range o.platforms {
		image, err := buildPlatform(ctx, o, origin, platform)
		if err != nil {
			return "", fmt.Errorf("%s: %w", platform, err)
		}
		built = append(built, image)
	}
	if o.isArchive() {
		return writeArchive(o, built[0])
	}
	return writeLayout(o, origin, built)
}
