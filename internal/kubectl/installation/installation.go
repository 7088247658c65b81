// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
)

// Check looks at what is installed.
func Check(ctx context.Context, c *cluster.Cluster, clock clock.PassiveClock) (screen.Findings, error) {
	var found screen.Findings
	if err := checkAPI(c, &found); err != nil {
		return nil, err
	}
	checkOperator(ctx, c, clock, &found)
	checkPolicy(ctx, c, &found)
	return found, nil
}

func checkAPI(c *cluster.Cluster, found *screen.Findings) error {
	api, err := discovery.NewDiscoveryClientForConfig(c.Config)
	if err != nil {
		return err
	}
	server, err := api.ServerVersion()
	if err != nil {
		return fmt.Errorf("the API server does not answer: %w", err)
	}
	found.Add(screen.Right, "Kubernetes", "%s", server.GitVersion)
	resources, err := api.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		found.Add(screen.Wrong, "API", "%s is not served: install the CRDs (kubectl apply -f dist/install.yaml, or the Helm chart)", v1alpha1.GroupVersion)
		return nil //nolint:nilerr // it is found, and told
	}
	kinds := map[string]bool{}
	for _, resource := range resources.APIResources {
		kinds[resource.Kind] = true
	}
	for _, kind := range []string{"TokenCredential", "ClusterTokenProvider"} {
		if !kinds[kind] {
			found.Add(screen.Wrong, "API", "there is no CRD of %s: install the CRDs again", kind)
		}
	}
	found.Add(screen.Right, "API", "%s is served", v1alpha1.GroupVersion)
	return nil
}

func checkPolicy(ctx context.Context, c *cluster.Cluster, found *screen.Findings) {
	bindings := &admissionv1.ValidatingAdmissionPolicyBindingList{}
	if err := c.List(ctx, bindings, client.MatchingLabels{"app.kubernetes.io/name": "tokenkeeper"}); err != nil {
		found.Add(screen.Doubtful, "Admission policy", "it cannot be looked for (%s)", apierrors.ReasonForError(err))
		return
	}
	if len(bindings.Items) == 0 {
		found.Add(screen.Doubtful, "Admission policy", "it is not installed: who may write a TokenCredential has the operator read and write any Secret of its namespace")
		return
	}
	found.Add(screen.Right, "Admission policy", "it is in force")
}
