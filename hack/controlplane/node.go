// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// nodePrograms are what a node runs beside the control plane's binaries. No release of
// setup-envtest has them, so they are built.
var nodePrograms = []string{"kube-controller-manager", "kube-scheduler", "kubelet"}

// addNode builds the programs of a node into the folder of the others, each once for a
// machine.
func addNode(ctx context.Context, folder string, wanted version) error {
	missing := []string{}
	for _, name := range nodePrograms {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "tokenkeeper-node-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	in, built, err := kubernetesSource(ctx, filepath.Join(root, "hack", "controlplane", "kubernetes"), work, wanted)
	if err != nil {
		return err
	}
	for i, name := range missing {
		// Renamed into place whole, so that a killed run leaves nothing that looks complete.
		program := filepath.Join(folder, name)
		part := program + ".part"
		if err := run(ctx, in.folder, fmt.Sprintf("[%d/%d] Building %s %s (minutes the first time)", i+1, len(missing), name, built.module()),
			"go", "build", "-mod="+in.mod, "-trimpath", "-buildvcs=false", "-ldflags", versionFlags(built), "-o", part, "k8s.io/kubernetes/cmd/"+name); err != nil {
			return err
		}
		if err := os.Rename(part, program); err != nil {
			return err
		}
	}
	return nil
}
