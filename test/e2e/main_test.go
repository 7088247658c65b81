// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests what is shipped as users run it: the manager as a restricted pod with
// the roles of the manifests, pods that mount its Secrets, a scheduler, a kubelet and
// garbage collection. `make e2e` brings a node up for it; E2E_KUBECONFIG names a cluster
// of yours instead.
//
// The provider, a simulator with real rotation, and the API that the pods call with its
// access tokens are in the test's own process, so that a test sees both sides.
//
// The tests share one cluster, where the operator is installed once at a time: they run
// one after another. It is a module of its own, so that `go test ./...` does not run them,
// and Helm's libraries are no part of the operator's.
package e2e

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

const (
	repository    = "../.."
	managerImage  = "ghcr.io/tokenkeeper/tokenkeeper:e2e"
	consumerImage = "tokenkeeper.local/consumer:e2e"
)

// env is the cluster, the provider and the API that all tests share.
var env struct {
	client.Client
	config *rest.Config
	// host is the address at which pods reach this process.
	host      string
	simulator *simulator.Simulator
	server    *simulator.Server
	api       *api
	// node is the folder of the node that `make node` runs; "" on another cluster.
	node     string
	manager  string // the image
	consumer string // the image
	started  time.Time
}

func TestMain(m *testing.M) {
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	stop, err := setUp(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := m.Run()
	stop()
	if err := writeFigures(code == 0); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: write the figures:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// setUp connects to the cluster, brings the images there, and starts the provider and the
// API.
func setUp(ctx context.Context) (stop func(), err error) {
	env.started = time.Now()
	env.node = os.Getenv("TOKENKEEPER_NODE")
	kubeconfig := os.Getenv("E2E_KUBECONFIG")
	if kubeconfig == "" && env.node != "" {
		kubeconfig = filepath.Join(env.node, "kubeconfig", "admin")
	}
	if kubeconfig == "" {
		return nil, fmt.Errorf("there is no cluster to test on: run `make e2e`, which brings up a node, or set E2E_KUBECONFIG")
	}
	if env.config, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		return nil, err
	}
	env.config.QPS, env.config.Burst = 100, 200
	env.config.WarningHandler = rest.NoWarnings{}
	if err := v1alpha1.AddToScheme(clientgoscheme.Scheme); err != nil {
		return nil, err
	}
	if env.Client, err = client.New(env.config, client.Options{Scheme: clientgoscheme.Scheme}); err != nil {
		return nil, err
	}
	if env.host, err = hostAddress(ctx); err != nil {
		return nil, err
	}
	if err := bringImages(ctx); err != nil {
		return nil, err
	}
	return serve()
}

// hostAddress is the one from which this machine reaches the API server: pods reach it
// there, unless E2E_HOST says otherwise.
func hostAddress(ctx context.Context) (string, error) {
	if host := os.Getenv("E2E_HOST"); host != "" {
		return host, nil
	}
	server, err := url.Parse(env.config.Host)
	if err != nil {
		return "", err
	}
	// Nothing is sent: a UDP socket just has an address.
	connection, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(server.Hostname(), cmp.Or(server.Port(), "443")))
	if err != nil {
		return "", fmt.Errorf("find the address at which pods reach this machine (E2E_HOST names it): %w", err)
	}
	defer connection.Close()
	return connection.LocalAddr().(*net.UDPAddr).IP.String(), nil
}

// bringImages builds the images and loads them into the node. Another cluster pulls them:
// E2E_IMAGE and E2E_CONSUMER_IMAGE say from where.
func bringImages(ctx context.Context) error {
	env.manager, env.consumer = cmp.Or(os.Getenv("E2E_IMAGE"), managerImage), cmp.Or(os.Getenv("E2E_CONSUMER_IMAGE"), consumerImage)
	if env.node == "" {
		if os.Getenv("E2E_IMAGE") == "" || os.Getenv("E2E_CONSUMER_IMAGE") == "" {
			return fmt.Errorf("set E2E_IMAGE and E2E_CONSUMER_IMAGE to images that the cluster can pull; hack/image builds both")
		}
		return nil
	}
	folder, err := os.MkdirTemp("", "tokenkeeper-e2e-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	for _, each := range []struct{ source, program, name, tag string }{
		{filepath.Join(here, repository), "./cmd", "manager", managerImage},
		{here, "./consumer", "consumer", consumerImage},
	} {
		file := filepath.Join(folder, "image.tar")
		if err := buildImage(ctx, file, each.source, each.program, each.name, each.tag); err != nil {
			return err
		}
		if err := command(ctx, repository, "go", "run", "./hack/node", "load", file); err != nil {
			return err
		}
	}
	return nil
}

// buildImage builds an archive with the image of a program.
func buildImage(ctx context.Context, file, source, program, name, tag string) error {
	return command(ctx, repository, "go", "run", "-C", "hack/image", ".", "--source="+source, "--program="+program, "--name="+name,
		"--tag="+tag, "--output="+file, "--platform=linux/"+runtime.GOARCH)
}

func command(ctx context.Context, folder, name string, arguments ...string) error {
	made := exec.CommandContext(ctx, name, arguments...)
	made.Dir, made.Stdout, made.Stderr = folder, os.Stderr, os.Stderr
	if err := made.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", name, arguments, err)
	}
	return nil
}

// serve starts the provider and the API that the pods call.
func serve() (stop func(), err error) {
	env.simulator = simulator.New(simulator.DemoOptions(simulator.Day))
	if _, err := env.simulator.Add(simulator.Demo()); err != nil {
		return nil, err
	}
	if env.server, err = env.simulator.Start(net.JoinHostPort(env.host, "0")); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(env.host, "0"))
	if err != nil {
		return nil, err
	}
	env.api = newAPI("http://" + listener.Addr().String())
	server := &http.Server{Handler: env.api, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return func() {
		_ = server.Close()
		_ = env.server.Close()
	}, nil
}
