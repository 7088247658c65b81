// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// krewPlugin is what krew reads (https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/).
// Its own package of these types requires libraries of Kubernetes that are years older than ours.
type krewPlugin struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       krewSpec          `json:"spec"`
}

type krewSpec struct {
	Version          string         `json:"version"`
	Homepage         string         `json:"homepage"`
	ShortDescription string         `json:"shortDescription"`
	Description      string         `json:"description"`
	Caveats          string         `json:"caveats"`
	Platforms        []krewPlatform `json:"platforms"`
}

type krewPlatform struct {
	Selector krewSelector `json:"selector"`
	URI      string       `json:"uri"`
	SHA256   string       `json:"sha256"`
	Files    []krewFile   `json:"files"`
	Bin      string       `json:"bin"`
}

type krewSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type krewFile struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// writeKrew writes the manifest by which krew installs the plugin.
func writeKrew(p plan, plugins []archive) error {
	manifest := krewPlugin{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2",
		Kind:       "Plugin",
		Metadata:   map[string]string{"name": strings.TrimPrefix(pluginName, "kubectl-")},
		Spec: krewSpec{
			Version:          p.version,
			Homepage:         home,
			ShortDescription: "Look at OAuth tokens that TokenKeeper keeps fresh",
			Description: "Lists TokenCredentials, shows on one screen what one is doing and what stands in its way,\n" +
				"asks for a refresh, authorizes from a browser or another device, and checks manifests and\n" +
				"providers before they are applied. No command prints a secret.\n",
			Caveats: "It works with clusters that run TokenKeeper:\n" + home + "\n",
		},
	}
	for _, each := range plugins {
		manifest.Spec.Platforms = append(manifest.Spec.Platforms, krewPlatform{
			Selector: krewSelector{MatchLabels: map[string]string{"os": each.platform.system, "arch": each.platform.architecture}},
			URI:      fmt.Sprintf("%s/releases/download/%s/%s", home, p.version, each.name),
			SHA256:   each.sha256,
			Files:    []krewFile{{From: each.program, To: "."}, {From: "LICENSE", To: "."}},
			Bin:      each.program,
		})
	}
	text, err := yaml.Marshal(manifest)
	if err != nil {
		return err
	}
	return write(p, krewName, string(text))
}
