// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const crdFolder = "config/crd/bases" // in a checkout

// auditPolicy logs who reads an app's Secret, and nothing else, so that the
// others cost as they would without it.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [get]
  resources: [{group: "", resources: [secrets], resourceNames: [app-mcs, app-xiaomi]}]
- level: None
`

// cluster is etcd and an API server, without nodes. Etcd does not wait for the
// disk (--unsafe-no-fsync): what is measured is processor time.
type cluster struct {
	environment *envtest.Environment
	config      *rest.Config
	kubeconfig  string // path
	auditLog    string // path
	pids        map[string]int
}

// startCluster starts both and installs the CRDs.
func startCluster(root, folder string) (*cluster, error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if _, err := os.Stat(filepath.Join(assets, "kube-apiserver")); assets == "" || err != nil {
		return nil, fmt.Errorf("KUBEBUILDER_ASSETS is %q, which holds no kube-apiserver: run `make bench`, which finds or builds one", assets)
	}
	c := &cluster{
		kubeconfig: filepath.Join(folder, "kubeconfig"),
		auditLog:   filepath.Join(folder, "audit.log"),
		environment: &envtest.Environment{
			CRDDirectoryPaths:        []string{filepath.Join(root, crdFolder)},
			ErrorIfCRDPathMissing:    true,
			ControlPlaneStartTimeout: time.Minute,
			ControlPlaneStopTimeout:  time.Minute,
		},
	}
	policy := filepath.Join(folder, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	c.environment.ControlPlane.GetAPIServer().Configure().
		Set("audit-policy-file", policy).
		Set("audit-log-path", c.auditLog)
	c.environment.ControlPlane.Etcd = &envtest.Etcd{DataDir: filepath.Join(folder, "etcd")}
	c.environment.ControlPlane.Etcd.Configure().
		Set("quota-backend-bytes", fmt.Sprint(8<<30)) // fifty thousand credentials write more history than 2 GiB
	config, err := c.environment.Start()
	if err == nil {
		err = os.WriteFile(c.kubeconfig, c.environment.KubeConfig, 0o600)
	}
	if err == nil {
		c.pids, err = childProcesses("etcd", "kube-apiserver")
	}
	if err != nil {
		_ = c.stop() // whatever came up before it went wrong
		return nil, fmt.Errorf("start the control plane: %w", err)
	}
	c.config = rest.CopyConfig(config)
	c.config.QPS, c.config.Burst = -1, -1 // as in the manager
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

// appReads is how often an app's Secret has been read.
func (c *cluster) appReads() (int, error) {
	text, err := os.ReadFile(c.auditLog)
	if os.IsNotExist(err) {
		return 0, nil
	}
	return bytes.Count(text, []byte("\n")), err
}

// metricsClient asks the API server for its own metrics.
func metricsClient(config *rest.Config) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	return rest.UnversionedRESTClientFor(config)
}
