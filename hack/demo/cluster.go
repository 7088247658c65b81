// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	crdFolder     = "config/crd/bases"
	samplesFolder = "config/samples"
	// namespace is where the samples go: the one that kubectl uses unasked.
	namespace = "default"
)

// cluster is an API server without nodes.
type cluster struct {
	environment *envtest.Environment
	config      *rest.Config
	kubeconfig  string // path
	kubectl     string // path
}

// startCluster starts etcd and kube-apiserver and installs the CRDs.
func startCluster(folder string) (*cluster, error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if _, err := os.Stat(filepath.Join(assets, "kube-apiserver")); assets == "" || err != nil {
		return nil, fmt.Errorf("KUBEBUILDER_ASSETS is %q, which holds no kube-apiserver: run `make demo`, which finds or builds one", assets)
	}
	c := &cluster{
		kubeconfig: filepath.Join(folder, "kubeconfig"),
		kubectl:    filepath.Join(assets, "kubectl"),
		environment: &envtest.Environment{
			CRDDirectoryPaths:        []string{crdFolder},
			ErrorIfCRDPathMissing:    true,
			ControlPlaneStartTimeout: time.Minute, // a busy machine is no failure
		},
	}
	config, err := c.environment.Start()
	if err == nil {
		err = os.WriteFile(c.kubeconfig, c.environment.KubeConfig, 0o600)
	}
	if err != nil {
		_ = c.stop() // whatever came up before it went wrong
		return nil, fmt.Errorf("start the control plane: %w", err)
	}
	c.config = rest.CopyConfig(config)
	c.config.WarningHandler = rest.NoWarnings{}
	return c, nil
}

// stop ends both processes; they are in process groups of their own, so nobody
// else's Ctrl-C has reached them.
func (c *cluster) stop() error {
	if err := c.environment.Stop(); err != nil {
		return fmt.Errorf("stop the control plane: %w", err)
	}
	return nil
}
