// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// heartbeat is how often a start that lasts says what it waits for.
const heartbeat = 15 * time.Second

// awaitReady waits until pods can run. Each step says what is being waited for.
func (n *node) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfigOf(admin))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		what, component string
		ask             func() error
	}{
		{"containerd", "containerd", func() error {
			return output(ctx, "ctr", "--address", containerdSocket, "version")
		}},
		{"the image that every pod needs", "containerd", func() error { return n.loadPause(ctx) }},
		{"etcd and kube-apiserver", "kube-apiserver", func() error {
			return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		}},
		{"kubelet, until it calls the node ready", "kubelet", func() error { return isNodeReady(ctx, client) }},
		{"kube-controller-manager, until there are service accounts", "kube-controller-manager", func() error {
			_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
			return err
		}},
	} {
		if err := n.await(ctx, step.what, step.ask); err != nil {
			return fmt.Errorf("%w\nThe log of %s ends:\n%s", err, step.component, lastLines(logOf(step.component)))
		}
	}
	say("Kubernetes %s is up.", version(client))
	return nil
}

// await asks until there is no error, and says now and then what it is waiting for.
func (n *node) await(ctx context.Context, what string, ask func() error) error {
	say("Starting %s ...", what)
	started, told := time.Now(), time.Now()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-n.ended:
			return fmt.Errorf("the node's first process has ended:\n%s", lastLines(logOf("node")))
		case <-ctx.Done():
			return fmt.Errorf("%s does not come up within %s: %w", what, time.Since(started).Round(time.Second), err)
		case <-time.After(retry):
		}
		if time.Since(told) > heartbeat {
			told = time.Now()
			say("  ... still waiting after %s: %v", time.Since(started).Round(time.Second), err)
		}
	}
}

// loadPause brings the pause image, and lets kubelet start.
func (n *node) loadPause(ctx context.Context) error {
	if err := load(ctx, []string{pauseFile(n.programs)}); err != nil {
		return err
	}
	return os.WriteFile(in("loaded"), nil, 0o600)
}

func isNodeReady(ctx context.Context, client kubernetes.Interface) error {
	found, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, each := range found.Status.Conditions {
		if each.Type == corev1.NodeReady && each.Status == corev1.ConditionTrue {
			return nil
		}
		if each.Type == corev1.NodeReady {
			err = errors.New(each.Message)
		}
	}
	return errors.Join(errors.New("the node is not ready"), err)
}

// version is what the API server calls itself.
func version(client kubernetes.Interface) string {
	found, err := client.Discovery().ServerVersion()
	if err != nil {
		return "of a version that it does not tell"
	}
	return found.GitVersion
}

// lastLines of a log.
func lastLines(file string) string {
	const shown = 15
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(len(lines)-shown, 0):], []byte("\n")))
}
