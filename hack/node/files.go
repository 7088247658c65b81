// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// folder holds all that a node writes. It is not below /var/lib, /var/log or /run, which
// the node has for itself.
const folder = "/var/cache/tokenkeeper-node"

const (
	nodeName         = "tokenkeeper-node"
	admin            = "admin"
	firstPID         = "first"
	containerdSocket = folder + "/containerd.sock"
	pauseImage       = "tokenkeeper.local/pause:node"
)

func in(names ...string) string       { return filepath.Join(append([]string{folder}, names...)...) }
func kubeconfigOf(who string) string  { return in("kubeconfig", who) }
func logOf(component string) string   { return in("log", component+".log") }
func pidFile(what string) string      { return in(what + ".pid") }
func certificateOf(who string) string { return in("pki", who+".crt") }
func keyOf(who string) string         { return in("pki", who+".key") }

//go:embed audit.yaml
var auditPolicy string

//go:embed kubelet.yaml
var kubeletConfig string

//go:embed containerd.toml
var containerdConfig string

//go:embed bridge.conflist
var networkConfig string

// prepare writes everything that the node's processes read.
func prepare(ctx context.Context, programs string) error {
	for _, each := range []string{"pki", "kubeconfig", "log", "etc/cni", "etc/registries", "etcd", "containerd", "kubelet", "cni", "var-log", "hold"} {
		if err := os.MkdirAll(in(each), 0o700); err != nil {
			return err
		}
	}
	if err := os.Chmod(folder, 0o711); err != nil { //nolint:gosec // containers of other users pass through it
		return err
	}
	if err := writePKI(); err != nil {
		return err
	}
	fill := strings.NewReplacer(
		"@FOLDER@", folder, "@NODE_ADDRESS@", nodeAddress, "@POD_NETWORK@", podNetwork, "@GROUP@", groupName,
		"@SOCKET@", containerdSocket, "@PAUSE_IMAGE@", pauseImage, "@PLUGINS@", pluginFolder(),
	)
	for name, text := range map[string]string{
		"etc/audit.yaml": auditPolicy, "etc/kubelet.yaml": kubeletConfig,
		"etc/containerd.toml": containerdConfig, "etc/cni/bridge.conflist": networkConfig,
		"etc/hosts": fmt.Sprintf("127.0.0.1 localhost\n::1 localhost\n%s %s\n", nodeAddress, nodeName),
	} {
		if err := os.WriteFile(in(name), []byte(fill.Replace(text)), 0o600); err != nil {
			return err
		}
	}
	if err := makeGroups(); err != nil {
		return lacking("kubelet needs control groups: %v", err)
	}
	// It is kept with the programs, so that it is built once for a machine.
	if _, err := os.Stat(pauseFile(programs)); err == nil {
		return nil
	}
	return buildImage(ctx, "./hack/node/pause", pauseImage, pauseFile(programs))
}

func pauseFile(programs string) string {
	return filepath.Join(programs, "pause-"+architecture()+".tar")
}

// architecture is this machine's.
func architecture() string { return runtime.GOARCH }
