// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
)

// latest is the image of who installs from a checkout.
const latest = repository + ":latest"

// replaceOnce replaces a text that must be there once.
func replaceOnce(text, old, replacement, where string) (string, error) {
	return replaceAll(text, old, replacement, 1, where)
}

// replaceAll replaces a text that must be there so often.
func replaceAll(text, old, replacement string, times int, where string) (string, error) {
	if count := strings.Count(text, old); count != times {
		return "", fmt.Errorf("%s has %q %d times where the release expects it %d times", where, old, count, times)
	}
	return strings.ReplaceAll(text, old, replacement), nil
}

// containers are how many of the operator's pod run its image: the manager and its courier.
const containers = 2

// writeInstaller writes dist/install.yaml with the image of this release.
func writeInstaller(p plan, reference string) error {
	const from = "dist/install.yaml"
	text, err := os.ReadFile(filepath.Join(p.source, from))
	if err != nil {
		return err
	}
	installer, err := replaceAll(string(text), "image: "+latest+"\n", "image: "+reference+"\n", containers, from)
	if err != nil {
		return err
	}
	return write(p, installerName, installer)
}

// chartName is the packaged chart's.
func chartName(p plan) string { return "tokenkeeper-" + p.number() + ".tgz" }

// writeChart packages the chart with the version and the image of this release.
func writeChart(p plan, digest string) error {
	loaded, err := loader.Load(filepath.Join(p.source, "charts", "tokenkeeper"))
	if err != nil {
		return err
	}
	loaded.Metadata.Version, loaded.Metadata.AppVersion = p.number(), p.version
	if err := nameImage(loaded, p.version, digest); err != nil {
		return err
	}
	// The archive has the times of the files, which are a checkout's.
	loaded.ModTime, loaded.SchemaModTime = p.created, p.created
	for _, files := range [][]*common.File{loaded.Raw, loaded.Templates, loaded.Files} {
		for _, each := range files {
			each.ModTime = p.created
		}
	}
	_, err = chartutil.Save(loaded, p.folder)
	return err
}

// nameImage writes tag and digest into the chart's values, where their comments stay.
func nameImage(loaded *chart.Chart, tag, digest string) error {
	for _, each := range loaded.Raw {
		if each.Name != chartutil.ValuesfileName {
			continue
		}
		text, err := replaceOnce(string(each.Data), "\n  tag: \"\"\n", "\n  tag: "+tag+"\n", each.Name)
		if err != nil {
			return err
		}
		text, err = replaceOnce(text, "\n  digest: \"\"\n", "\n  digest: "+digest+"\n", each.Name)
		if err != nil {
			return err
		}
		each.Data = []byte(text)
		return nil
	}
	return fmt.Errorf("the chart has no %s", chartutil.ValuesfileName)
}
