// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

func (p *plugin) check() *cobra.Command {
	file := ""
	command := &cobra.Command{
		Use:   "check [-f FILE]",
		Short: "Check the installation, or a manifest before it is applied",
		Long: `Check the installation: the API, the operator and its leader, the admission policy, flags
that say whom it may call.

With -f check a manifest before it is applied: the Secrets that it names and their keys
(those in the same file count), the provider and its parameters, the template, rendered
with a made-up token, the target, and whether you may apply it, by a dry run. Nothing is
sent to a provider, and nothing is spent.

The exit code is 2 where something must be mended.`,
		Example: `  kubectl tokencredential check
  kubectl tokencredential check -f credential.yaml`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			var found findings
			if file != "" {
				found, err = p.checkFile(command.Context(), c, file)
			} else {
				found, err = p.checkInstallation(command.Context(), c)
			}
			if err != nil {
				return err
			}
			p.printf("%s", found.text(p.colours))
			if wrong := found.wrong(); wrong > 0 {
				return unwell{fmt.Sprintf("to be mended: %d", wrong)}
			}
			return nil
		},
	}
	command.Flags().StringVarP(&file, "filename", "f", "", "a manifest to check; - reads it from the input")
	return command
}

// checkInstallation looks at what is installed.
func (p *plugin) checkInstallation(ctx context.Context, c *cluster) (findings, error) {
	var found findings
	if err := checkAPI(c, &found); err != nil {
		return nil, err
	}
	p.checkOperator(ctx, c, &found)
	checkPolicy(ctx, c, &found)
	return found, nil
}

func checkAPI(c *cluster, found *findings) error {
	api, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return err
	}
	server, err := api.ServerVersion()
	if err != nil {
		return fmt.Errorf("the API server does not answer: %w", err)
	}
	found.add(screen.Right, "Kubernetes", "%s", server.GitVersion)
	resources, err := api.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		found.add(screen.Wrong, "API", "%s is not served: install the CRDs (kubectl apply -f dist/install.yaml, or the Helm chart)", v1alpha1.GroupVersion)
		return nil //nolint:nilerr // it is found, and told
	}
	kinds := map[string]bool{}
	for _, resource := range resources.APIResources {
		kinds[resource.Kind] = true
	}
	for _, kind := range []string{"TokenCredential", "ClusterTokenProvider"} {
		if !kinds[kind] {
			found.add(screen.Wrong, "API", "there is no CRD of %s: install the CRDs again", kind)
		}
	}
	found.add(screen.Right, "API", "%s is served", v1alpha1.GroupVersion)
	return nil
}

// managerLabels are those of the manager's Deployment, whoever installed it.
var managerLabels = client.MatchingLabels{"app.kubernetes.io/name": "tokenkeeper", "control-plane": "controller-manager"}

func (p *plugin) checkOperator(ctx context.Context, c *cluster, found *findings) {
	deployments := &appsv1.DeploymentList{}
	if err := c.List(ctx, deployments, managerLabels); err != nil {
		found.add(screen.Doubtful, "Operator", "its Deployment cannot be looked for (%s)", apierrors.ReasonForError(err))
		return
	}
	if len(deployments.Items) == 0 {
		found.add(screen.Doubtful, "Operator", "no Deployment has its labels: it runs elsewhere, or not at all")
	}
	for i := range deployments.Items {
		deployment := &deployments.Items[i]
		what := fmt.Sprintf("Operator %s/%s", deployment.Namespace, deployment.Name)
		container := deployment.Spec.Template.Spec.Containers[0]
		verdict := screen.Right
		if deployment.Status.ReadyReplicas == 0 {
			verdict = screen.Wrong
		}
		found.add(verdict, what, "%d of %d replicas are ready, image %s; this plugin is %s",
			deployment.Status.ReadyReplicas, deployment.Status.Replicas, container.Image, version.String())
		found.add(screen.Right, what+" may call", "%s", egressOf(argsOf(deployment.Spec.Template.Spec)))
		p.checkLeader(ctx, c, deployment.Namespace, found)
	}
}

// argsOf the manager and of its courier, which makes the calls where there is one.
func argsOf(pod corev1.PodSpec) []string {
	var args []string
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		args = append(args, container.Args...)
	}
	return args
}

// egressOf says by a manager's flags whom it may call.
func egressOf(args []string) string {
	var flags []string
	for _, arg := range args {
		if strings.HasPrefix(arg, "--egress-") || strings.HasPrefix(arg, "--builtin-providers") || strings.HasPrefix(arg, "--namespaces") {
			flags = append(flags, arg)
		}
	}
	if len(flags) == 0 {
		return "any public host over https, with any built-in provider, for all namespaces"
	}
	return strings.Join(flags, " ")
}

func (p *plugin) checkLeader(ctx context.Context, c *cluster, namespace string, found *findings) {
	leases := &coordinationv1.LeaseList{}
	if err := c.List(ctx, leases, client.InNamespace(namespace)); err != nil {
		found.add(screen.Doubtful, "Leader", "the leases of %s cannot be read (%s)", namespace, apierrors.ReasonForError(err))
		return
	}
	for _, lease := range leases.Items {
		if !strings.HasSuffix(lease.Name, "manager.tokenkeeper.io") || lease.Spec.RenewTime == nil {
			continue
		}
		age, holder := p.clock.Now().Sub(lease.Spec.RenewTime.Time), ""
		if lease.Spec.HolderIdentity != nil {
			holder = *lease.Spec.HolderIdentity
		}
		verdict, says := leaderOf(holder, age)
		found.add(verdict, "Leader", "%s, the lease %s", says, lease.Name)
		return
	}
	found.add(screen.Wrong, "Leader", "nobody has taken the lease in %s: look at the pods there", namespace)
}

// leaderOf judges a lease. While the operator is rolled out nobody holds it for some
// seconds: the old pod gives it up as it ends, and the new one asks for it now and then.
func leaderOf(holder string, age time.Duration) (screen.Verdict, string) {
	ago := duration.HumanDuration(age)
	switch {
	case holder == "" && age <= time.Minute:
		return screen.Doubtful, fmt.Sprintf("the last one ended %s ago, and the next takes over within seconds", ago)
	case holder == "":
		return screen.Wrong, fmt.Sprintf("nobody has taken over since the last one ended %s ago: look at the pods", ago)
	case age > time.Minute:
		return screen.Wrong, fmt.Sprintf("%q has not renewed for %s", holder, ago)
	}
	return screen.Right, fmt.Sprintf("%q renewed %s ago", holder, ago)
}

func checkPolicy(ctx context.Context, c *cluster, found *findings) {
	bindings := &admissionv1.ValidatingAdmissionPolicyBindingList{}
	if err := c.List(ctx, bindings, client.MatchingLabels{"app.kubernetes.io/name": "tokenkeeper"}); err != nil {
		found.add(screen.Doubtful, "Admission policy", "it cannot be looked for (%s)", apierrors.ReasonForError(err))
		return
	}
	if len(bindings.Items) == 0 {
		found.add(screen.Doubtful, "Admission policy", "it is not installed: who may write a TokenCredential has the operator read and write any Secret of its namespace")
		return
	}
	found.add(screen.Right, "Admission policy", "it is in force")
}
