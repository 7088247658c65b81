// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package local runs TokenKeeper on this machine, for the demo and the benchmark: a
// control plane without nodes, and the operator as it is built, each a process of its
// own, on loopback alone. It needs a checkout and KUBEBUILDER_ASSETS, and leaves
// nothing behind once everything that was started has been stopped.
package local

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const crdFolder = "config/crd/bases" // in a checkout

// Cluster is etcd and an API server that knows TokenKeeper's kinds.
type Cluster struct {
	// Config is an administrator's.
	Config *rest.Config
	// Kubeconfig is the path of the same for programs.
	Kubeconfig string
	// Kubectl is the path of a kubectl of the same version.
	Kubectl string

	environment *envtest.Environment
}

// StartCluster starts both for the checkout at root; what it writes itself goes to
// folder. Whoever wants them other than they are by default configures them.
func StartCluster(root, folder string, configure ...func(*envtest.ControlPlane)) (*Cluster, error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if _, err := os.Stat(filepath.Join(assets, "kube-apiserver")); assets == "" || err != nil {
		return nil, fmt.Errorf("KUBEBUILDER_ASSETS is %q, which holds no kube-apiserver: start this by `make`, which finds or builds one", assets)
	}
	c := &Cluster{
		Kubeconfig: filepath.Join(folder, "kubeconfig"),
		Kubectl:    filepath.Join(assets, "kubectl"),
		environment: &envtest.Environment{
			CRDDirectoryPaths:        []string{filepath.Join(root, crdFolder)},
			ErrorIfCRDPathMissing:    true,
			ControlPlaneStartTimeout: time.Minute, // a busy machine is no failure
			ControlPlaneStopTimeout:  time.Minute,
		},
	}
	for _, each := range configure {
		each(&c.environment.ControlPlane)
	}
	config, err := c.environment.Start()
	if err == nil {
		err = os.WriteFile(c.Kubeconfig, c.environment.KubeConfig, 0o600)
	}
	if err != nil {
		_ = c.Stop() // whatever came up before it went wrong
		return nil, fmt.Errorf("start the control plane: %w", err)
	}
	c.Config = rest.CopyConfig(config)
	c.Config.WarningHandler = rest.NoWarnings{}
	return c, nil
}

// Stop ends both processes; they are in process groups of their own, so nobody
// else's Ctrl-C has reached them.
func (c *Cluster) Stop() error {
	if err := c.environment.Stop(); err != nil {
		return fmt.Errorf("stop the control plane: %w", err)
	}
	return nil
}
