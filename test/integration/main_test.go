// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration tests the operator against a real API server and the provider
// simulator.
package integration

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
	"github.com/tokenkeeper/tokenkeeper/test/onlooker"
)

func TestMain(m *testing.M) {
	os.Exit(apiserver.Around(func() int { return beingWatched(m.Run) }))
}

// bystander sees what an onlooker may see of all tests together.
var bystander = &onlooker.Onlooker{}

// planted are the namespaces of tests that show a secret on purpose.
var planted sync.Map

func isPlanted(namespace string) bool {
	_, ok := planted.Load(namespace)
	return ok
}

// beingWatched runs the tests and then looks for every secret that any of them had in
// everything that any of them showed.
func beingWatched(run func() int) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	watcher, err := begin(ctx, bystander, isPlanted)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nobody can watch the tests:", err)
		return 1
	}
	code := run()
	if err := watcher.Finish(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "the tests were not watched to the end:", err)
		return 1
	}
	leaks := bystander.Leaks()
	for _, leak := range leaks {
		fmt.Fprintln(os.Stderr, "LEAK:", leak)
	}
	secrets, texts := bystander.Counts()
	fmt.Fprintf(os.Stderr, "looked for %d secrets in %d texts: %d leaks\n", secrets, texts, len(leaks))
	if len(leaks) > 0 {
		return 1
	}
	return code
}

// begin shows an onlooker all objects of the API server, and what all know of it.
func begin(ctx context.Context, o *onlooker.Onlooker, exempt func(string) bool) (*onlooker.Watcher, error) {
	clients, err := kubernetes.NewForConfig(apiserver.Config)
	if err != nil {
		return nil, err
	}
	system, err := clients.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	o.Know(string(system.UID))
	o.Know(corev1.NamespaceDefault)
	return o.Watch(ctx, apiserver.Config, exempt)
}
