// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// insideVerb is how this program calls itself in the node's namespaces, where it is the
// first process. Nobody else does.
const insideVerb = "inside"

// restartPause is how long a component that ended stays down.
const restartPause = time.Second

// inside is the node's first process: it prepares the namespaces, starts every component
// and starts it again when it has ended, as systemd would. It ends with the context, and
// all others with it.
func inside(ctx context.Context, programs string) error {
	if os.Getpid() != 1 {
		return errors.New("this is for `node up`, which makes the namespaces")
	}
	// The network is there once the process outside has closed its end.
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if err := mountInside(); err != nil {
		return fmt.Errorf("mount what the node has for itself: %w", err)
	}
	if err := syscall.Sethostname([]byte(nodeName)); err != nil {
		return err
	}
	if err := connectInside(ctx); err != nil {
		return err
	}
	keeper := newKeeper()
	for _, each := range components(programs) {
		go keeper.keep(ctx, each)
	}
	keeper.reap(ctx)
	return nil
}

// mountInside gives the node what programs expect at fixed paths, so that nothing of the
// machine's own is seen or changed. All of it goes with the mount namespace.
func mountInside() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return err
	}
	// containerd's shims and the pods' network namespaces are in /run, CNI's records in
	// /var/lib.
	for _, path := range []string{"/run", "/var/lib"} {
		if err := syscall.Mount("tmpfs", path, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755"); err != nil {
			return err
		}
	}
	for from, to := range map[string]string{in("var-log"): "/var/log", in("etc/hosts"): "/etc/hosts"} {
		if err := syscall.Mount(from, to, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", to, err)
		}
	}
	return os.MkdirAll("/run/lock", 0o755) //nolint:gosec // as distributions have it
}

// component is a program that the node keeps running.
type component struct {
	name      string
	arguments []string // the first is the program
	after     func() error
}

// components in the order in which people think of them. Each waits for what it needs.
func components(programs string) []component {
	program := func(name string) string { return filepath.Join(programs, name) }
	return []component{
		{name: "etcd", arguments: []string{program("etcd"),
			"--data-dir=" + in("etcd/data"), "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--quota-backend-bytes=4294967296"}},
		{name: "kube-apiserver", after: answers("127.0.0.1:2379"), arguments: []string{program("kube-apiserver"),
			"--etcd-servers=http://127.0.0.1:2379", "--secure-port=443", "--bind-address=0.0.0.0", "--advertise-address=" + nodeAddress,
			"--service-cluster-ip-range=" + services, "--allow-privileged", "--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction", "--kubelet-preferred-address-types=InternalIP",
			"--client-ca-file=" + certificateOf("ca"), "--tls-cert-file=" + certificateOf("apiserver"), "--tls-private-key-file=" + keyOf("apiserver"),
			"--kubelet-client-certificate=" + certificateOf("apiserver-to-kubelet"), "--kubelet-client-key=" + keyOf("apiserver-to-kubelet"),
			"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + keyOf("service-accounts"),
			"--service-account-signing-key-file=" + keyOf("service-accounts"),
			"--audit-policy-file=" + in("etc/audit.yaml"), "--audit-log-path=" + in("log/audit.jsonl"), "--audit-log-maxsize=2000"}},
		{name: "kube-controller-manager", after: answers("127.0.0.1:443"), arguments: []string{program("kube-controller-manager"),
			"--kubeconfig=" + kubeconfigOf("controller-manager"), "--leader-elect=false", "--use-service-account-credentials",
			"--service-account-private-key-file=" + keyOf("service-accounts"), "--root-ca-file=" + certificateOf("ca"),
			"--cluster-signing-cert-file=" + certificateOf("ca"), "--cluster-signing-key-file=" + keyOf("ca")}},
		{name: "kube-scheduler", after: answers("127.0.0.1:443"), arguments: []string{program("kube-scheduler"),
			"--kubeconfig=" + kubeconfigOf("scheduler"), "--leader-elect=false"}},
		{name: "containerd", arguments: []string{"containerd", "--config=" + in("etc/containerd.toml"), "--log-level=warn"}},
		{name: "kubelet", after: both(answers("127.0.0.1:443"), exists(in("loaded"))), arguments: []string{program("kubelet"),
			"--kubeconfig=" + kubeconfigOf("kubelet"), "--config=" + in("etc/kubelet.yaml"), "--root-dir=" + in("kubelet"),
			"--cert-dir=" + in("kubelet/pki"), "--hostname-override=" + nodeName, "--node-ip=" + nodeAddress}},
	}
}
