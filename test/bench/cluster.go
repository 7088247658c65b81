// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenkeeper/tokenkeeper/hack/local"
)

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
	*local.Cluster
	auditLog string // path
	pids     map[string]int
}

// startCluster starts both and installs the CRDs.
func startCluster(root, folder string) (*cluster, error) {
	policy := filepath.Join(folder, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	c := &cluster{auditLog: filepath.Join(folder, "audit.log")}
	var err error
	c.Cluster, err = local.StartCluster(root, folder, func(plane *envtest.ControlPlane) {
		plane.GetAPIServer().Configure().
			Set("audit-policy-file", policy).
			Set("audit-log-path", c.auditLog)
		plane.Etcd = &envtest.Etcd{DataDir: filepath.Join(folder, "etcd")}
		plane.Etcd.Configure().
			Set("quota-backend-bytes", fmt.Sprint(8<<30)) // fifty thousand credentials write more history than 2 GiB
	})
	if err != nil {
		return nil, err
	}
	c.Config.QPS, c.Config.Burst = -1, -1 // as in the manager
	if c.pids, err = childProcesses("etcd", "kube-apiserver"); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
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
