// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/validate"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"

	"github.com/tokenkeeper/tokenkeeper/hack/local"
)

// check does with what was made what those who get it will.
func check(ctx context.Context, p plan, made release) error {
	say("Checking what was made ...")
	for _, each := range made.plugins {
		if err := checkProgram(ctx, p, each); err != nil {
			return err
		}
	}
	for _, each := range made.image.managers {
		name := fmt.Sprintf("%s_%s_%s_%s.tar.gz", managerName, p.version, each.platform.system, each.platform.architecture)
		if err := checkProgram(ctx, p, archive{platform: each.platform, program: "manager", name: name}); err != nil {
			return err
		}
	}
	index, err := indexOf(p.path(layoutName), made.image.digest)
	if err != nil {
		return err
	}
	if err := validate.Index(index); err != nil {
		return fmt.Errorf("the image: %w", err)
	}
	say("  image: complete, %s", made.image.reference)
	chart, err := renderChart(p, made.image.digest)
	if err != nil {
		return fmt.Errorf("%s: %w", chartName(p), err)
	}
	say("  %s: loads and renders", chartName(p))
	return checkInstall(ctx, p, chart)
}

// checkProgram takes a program out of its archive, and runs it where this machine can: it
// must call itself by the release's version.
func checkProgram(ctx context.Context, p plan, from archive) error {
	files, err := unpack(p.path(from.name))
	if err != nil {
		return err
	}
	content, hasLicence := []byte(nil), false
	for _, each := range files {
		hasLicence = hasLicence || each.name == "LICENSE"
		if each.name == from.program {
			content = each.content
		}
	}
	if content == nil || !hasLicence {
		return fmt.Errorf("%s lacks %s or LICENSE", from.name, from.program)
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("%s: %w", from.name, err)
	}
	settings := map[string]string{}
	for _, each := range info.Settings {
		settings[each.Key] = each.Value
	}
	if on := (platform{settings["GOOS"], settings["GOARCH"]}); on != from.platform {
		return fmt.Errorf("%s holds a program for %s", from.name, on)
	}
	said := "not run here"
	if from.platform.isHere() {
		if said, err = versionOf(ctx, from.program, content); err != nil {
			return err
		}
		if !strings.Contains(" "+said+" ", " "+p.version+" ") {
			return fmt.Errorf("%s calls itself %q, not %s", from.name, said, p.version)
		}
	}
	say("  %s: %s", from.name, said)
	return nil
}

// versionOf is what a program says when it is asked for its version.
func versionOf(ctx context.Context, name string, content []byte) (string, error) {
	folder, err := os.MkdirTemp("", "tokenkeeper-release-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, content, 0o700); err != nil { //nolint:gosec // to be run
		return "", err
	}
	return output(ctx, folder, path, "--version")
}

// namespace is that of the installer, and where the chart is rendered for.
const namespace = "tokenkeeper-system"

// renderChart loads the packaged chart, and renders it as helm template does.
func renderChart(p plan, digest string) ([]byte, error) {
	loaded, err := loader.LoadFile(p.path(chartName(p)))
	if err != nil {
		return nil, err
	}
	if loaded.Metadata.Version != p.number() || loaded.Metadata.AppVersion != p.version {
		return nil, fmt.Errorf("it calls itself %s and what it installs %s", loaded.Metadata.Version, loaded.Metadata.AppVersion)
	}
	values, err := util.ToRenderValues(loaded, nil, common.ReleaseOptions{Name: "tokenkeeper", Namespace: namespace, Revision: 1, IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(loaded, values)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for name, each := range rendered {
		if filepath.Ext(name) == ".yaml" {
			text.WriteString("---\n" + each + "\n")
		}
	}
	if !strings.Contains(text.String(), repository+"@"+digest) {
		return nil, fmt.Errorf("what it renders does not name the image %s", digest)
	}
	return text.Bytes(), nil
}

// findControlPlane sets KUBEBUILDER_ASSETS to what hack/controlplane finds, fetches or
// builds.
func findControlPlane(ctx context.Context, p plan) error {
	command := exec.CommandContext(ctx, "go", "run", "./hack/controlplane")
	command.Dir, command.Stderr = p.source, os.Stderr
	assets, err := outputOf(command)
	if err != nil {
		return err
	}
	return os.Setenv("KUBEBUILDER_ASSETS", assets)
}

// checkInstall has a real API server take the installer, and then what the chart renders,
// as kubectl apply does.
func checkInstall(ctx context.Context, p plan, chart []byte) error {
	if err := findControlPlane(ctx, p); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "tokenkeeper-release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	cluster, err := local.StartCluster(p.source, folder)
	if err != nil {
		return err
	}
	defer func() { _ = cluster.Stop() }()
	kubectl := func(text []byte, arguments ...string) error {
		command := exec.CommandContext(ctx, cluster.Kubectl, append([]string{"--kubeconfig", cluster.Kubeconfig}, arguments...)...)
		command.Stdin = bytes.NewReader(text)
		_, err := outputOf(command)
		return err
	}
	apply := []string{"apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"}
	installer, err := os.ReadFile(p.path(installerName))
	if err != nil {
		return err
	}
	if err := kubectl(installer, apply...); err != nil {
		return fmt.Errorf("%s: %w", installerName, err)
	}
	say("  %s: a real API server takes it", installerName)
	// The chart needs the namespace and the CRDs, but its Deployment has labels of its own,
	// which cannot be changed in one that is there.
	if err := kubectl(nil, "delete", "deployments", "--all", "--namespace", namespace); err != nil {
		return err
	}
	if err := kubectl(chart, append(apply, "--dry-run=server")...); err != nil {
		return fmt.Errorf("%s: %w", chartName(p), err)
	}
	say("  %s: a real API server takes what it renders", chartName(p))
	return nil
}
