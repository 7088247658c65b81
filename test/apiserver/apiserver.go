// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver gives the tests of a package one real API server to share. It
// needs the control plane's binaries; `make test` finds or builds them.
package apiserver

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// CRDDirectory holds the CRDs as they are shipped, seen from a package two folders
// below the project's.
var CRDDirectory = filepath.Join("..", "..", "config", "crd", "bases")

// Config of the API server that all tests of a package share, once Run has begun.
// Each test works in a namespace or under names of its own.
var Config *rest.Config

// Kubeconfig by which another process reaches that API server.
var Kubeconfig []byte

// Etcd is where the API server keeps its objects.
var Etcd *url.URL

// Run starts the API server, runs a package's tests, and stops it. It returns the
// exit code for TestMain.
func Run(m *testing.M) int { return Around(m.Run) }

// Around starts the API server, calls run, which returns the exit code for TestMain, and
// stops the API server.
func Around(run func() int) int {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		fmt.Fprintln(os.Stderr, "KUBEBUILDER_ASSETS is not set, so there is no API server to test against. "+
			"Run `make test`, which finds or builds one, or set it to a folder that holds etcd and kube-apiserver.")
		return 1
	}
	ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	// A test waits most of its time, so more of them run at once than there are
	// processors; -parallel still has the last word.
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set("24"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	environment := &envtest.Environment{CRDDirectoryPaths: []string{CRDDirectory}, ErrorIfCRDPathMissing: true}
	config, err := environment.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "the API server does not start:", err)
		return 1
	}
	config.QPS, config.Burst = -1, -1 // the tests' own requests need no limit
	Config, Kubeconfig = config, environment.KubeConfig
	Etcd = environment.ControlPlane.Etcd.URL
	code := run()
	if err := environment.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the API server does not stop:", err)
		return 1
	}
	return code
}

// NewClient is a client without a cache, for every kind that TokenKeeper uses.
func NewClient(t *testing.T) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Smuggle changes an object in etcd, behind the back of the API server, which
// then serves what it would not have let in: what an older CRD did. The path is
// that of the object's key, such as tokenkeeper.io/tokencredentials/ns/name.
func Smuggle(ctx context.Context, path string, change func(object map[string]any)) error {
	key := base64.StdEncoding.EncodeToString([]byte("/registry/" + path))
	var found struct {
		KVs []struct {
			Value []byte `json:"value"`
		} `json:"kvs"`
	}
	if err := askEtcd(ctx, "range", map[string]any{"key": key}, &found); err != nil {
		return err
	}
	if len(found.KVs) != 1 {
		return fmt.Errorf("etcd has no object %s", path)
	}
	var object map[string]any
	if err := json.Unmarshal(found.KVs[0].Value, &object); err != nil {
		return err
	}
	change(object)
	return Plant(ctx, path, object)
}

// Plant puts an object into etcd as it is, with its UID and its status, or replaces the one
// that is there.
func Plant(ctx context.Context, path string, object map[string]any) error {
	value, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return askEtcd(ctx, "put", map[string]any{"key": []byte("/registry/" + path), "value": value}, &struct{}{})
}

func askEtcd(ctx context.Context, what string, question, into any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, Etcd.JoinPath("v3", "kv", what).String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd answers %s with %s", what, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
