// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

// ManagerLabels are those of the manager's Deployment, whoever installed it.
var ManagerLabels = client.MatchingLabels{"app.kubernetes.io/name": "tokenkeeper", "control-plane": "controller-manager"}

func checkOperator(ctx context.Context, c *cluster.Cluster, clock clock.PassiveClock, found *screen.Findings) {
	deployments := &appsv1.DeploymentList{}
	if err := c.List(ctx, deployments, ManagerLabels); err != nil {
		found.Add(screen.Doubtful, "Operator", "its Deployment cannot be looked for (%s)", apierrors.ReasonForError(err))
		return
	}
	if len(deployments.Items) == 0 {
		found.Add(screen.Doubtful, "Operator", "no Deployment has its labels: it runs elsewhere, or not at all")
	}
	for i := range deployments.Items {
		deployment := &deployments.Items[i]
		what := fmt.Sprintf("Operator %s/%s", deployment.Namespace, deployment.Name)
		container := deployment.Spec.Template.Spec.Containers[0]
		verdict := screen.Right
		if deployment.Status.ReadyReplicas == 0 {
			verdict = screen.Wrong
		}
		found.Add(verdict, what, "%d of %d replicas are ready, image %s; this plugin is %s",
			deployment.Status.ReadyReplicas, deployment.Status.Replicas, container.Image, version.String())
		found.Add(screen.Right, what+" may call", "%s", egressOf(argsOf(deployment.Spec.Template.Spec)))
		checkLeader(ctx, c, clock, deployment.Namespace, found)
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

func checkLeader(ctx context.Context, c *cluster.Cluster, clock clock.PassiveClock, namespace string, found *screen.Findings) {
	leases := &coordinationv1.LeaseList{}
	if err := c.List(ctx, leases, client.InNamespace(namespace)); err != nil {
		found.Add(screen.Doubtful, "Leader", "the leases of %s cannot be read (%s)", namespace, apierrors.ReasonForError(err))
		return
	}
	for _, lease := range leases.Items {
		if !strings.HasSuffix(lease.Name, "manager.tokenkeeper.io") || lease.Spec.RenewTime == nil {
			continue
		}
		age, holder := clock.Now().Sub(lease.Spec.RenewTime.Time), ""
		if lease.Spec.HolderIdentity != nil {
			holder = *lease.Spec.HolderIdentity
		}
		verdict, says := leaderOf(holder, age)
		found.Add(verdict, "Leader", "%s, the lease %s", says, lease.Name)
		return
	}
	found.Add(screen.Wrong, "Leader", "nobody has taken the lease in %s: look at the pods there", namespace)
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
