// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Cluster is a connection to the API server, and the namespace that is asked for.
type Cluster struct {
	client.Client
	// Config is what the connection was made of, for clients of another kind.
	Config *rest.Config
	// Namespace is where a name without one is looked for.
	Namespace string
}

// Connect finds the cluster as kubectl does.
func Connect(flags *genericclioptions.ConfigFlags) (*Cluster, error) {
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	return &Cluster{Client: c, Config: config, Namespace: namespace}, nil
}
