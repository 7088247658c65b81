// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth tests the built-in provider oauth2 against authorization servers that
// others wrote: ory/fosite, embedded, and oidc-provider, as a process of its own. What
// they refuse, how they word it and when they rotate is theirs; nothing here says so for
// them. It is a module of its own, so that what they depend on stays out of the
// operator's go.mod.
package oauth

import (
	"context"
	"fmt"
	"os"
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

// bystander sees what an onlooker may see of all tests together, and knows every secret
// that went to a server or came from one.
var bystander = &onlooker.Onlooker{}

// beingWatched runs the tests and then looks for every secret that any of them had in
// everything that any of them showed.
func beingWatched(run func() int) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	watcher, err := watch(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nobody can watch the tests:", err)
		return 1
	}
	code := run()
	if err := endNodes(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := watcher.Finish(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "the tests were not watched to the end:", err)
		return 1
	}
	for _, leak := range bystander.Leaks() {
		fmt.Fprintln(os.Stderr, "LEAK:", leak)
		code = 1
	}
	return code
}

func watch(ctx context.Context) (*onlooker.Watcher, error) {
	clients, err := kubernetes.NewForConfig(apiserver.Config)
	if err != nil {
		return nil, err
	}
	system, err := clients.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	bystander.Know(string(system.UID))
	bystander.Know(corev1.NamespaceDefault)
	return bystander.Watch(ctx, apiserver.Config, func(string) bool { return false })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
