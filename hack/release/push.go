// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	helm "helm.sh/helm/v4/pkg/registry"
)

// chartRegistry is where helm finds the chart: charts are kept apart from images, which
// have the same name.
const chartRegistry = "ghcr.io/tokenkeeper/charts"

// push brings image, bills of materials and chart to a registry, as whoever docker login
// has logged in. It never moves a version that is there already.
func push(ctx context.Context, p plan, registry string) error {
	say("Pushing to %s ...", registry)
	tag, err := name.NewTag(registry + "/tokenkeeper:" + p.version)
	if err != nil {
		return err
	}
	all, err := layout.ImageIndexFromPath(p.path(layoutName))
	if err != nil {
		return err
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		return err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	for _, each := range manifest.Manifests {
		if err := pushOne(all, each, tag, options); err != nil {
			return err
		}
	}
	return pushChart(p, registry)
}

// pushOne pushes the index under its tag, and what refers to an image under its digest.
func pushOne(all v1.ImageIndex, what v1.Descriptor, tag name.Tag, options []remote.Option) error {
	if !what.MediaType.IsIndex() {
		one, err := all.Image(what.Digest)
		if err != nil {
			return err
		}
		say("  a bill of materials, %s", what.Digest)
		return remote.Write(tag.Digest(what.Digest.String()), one, options...)
	}
	if there, err := remote.Head(tag, options...); err == nil && there.Digest != what.Digest {
		return fmt.Errorf("%s is there already, as %s: a version that is out is never changed; release the next one", tag, there.Digest)
	}
	index, err := all.ImageIndex(what.Digest)
	if err != nil {
		return err
	}
	say("  %s, %s", tag, what.Digest)
	return remote.WriteIndex(tag, index, options...)
}

func pushChart(p plan, registry string) error {
	content, err := os.ReadFile(p.path(chartName(p)))
	if err != nil {
		return err
	}
	client, err := helm.NewClient()
	if err != nil {
		return err
	}
	reference := fmt.Sprintf("%s/charts/tokenkeeper:%s", registry, p.number())
	say("  %s", reference)
	_, err = client.Push(content, reference, helm.PushOptCreationTime(p.created.Format("2006-01-02T15:04:05Z07:00")))
	return err
}
