// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/installation"
)

// Part is a file of a bundle.
type Part struct {
	Name string
	Text []byte
}

// Gather makes the files. What cannot be read is said in its file.
func Gather(ctx context.Context, c *cluster.Cluster, clock clock.PassiveClock, found []v1alpha1.TokenCredential) []Part {
	var parts []Part
	add := func(name string, object any, err error) {
		if err != nil {
			parts = append(parts, Part{name, []byte("not read: " + err.Error() + "\n")})
			return
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			text = []byte(err.Error())
		}
		parts = append(parts, Part{name, text})
	}
	installed, err := installation.Check(ctx, c, clock)
	parts = append(parts, Part{"installation.txt", []byte(installed.Text(false))})
	if err != nil {
		add("installation-error.txt", nil, err)
	}
	providers := &v1alpha1.ClusterTokenProviderList{}
	err = c.List(ctx, providers)
	add("providers.yaml", providers.Items, err)
	for i := range found {
		credential := &found[i]
		credential.ManagedFields = nil
		base := credential.Namespace + "/" + credential.Name
		add(base+"/credential.yaml", credential, nil)
		secrets := map[string]map[string]int{}
		for _, use := range cluster.SecretsOf(credential) {
			secrets[use.Name] = sizesOf(ctx, c, use)
		}
		add(base+"/secrets.yaml", secrets, nil)
		events := &eventsv1.EventList{}
		err := c.List(ctx, events, client.InNamespace(credential.Namespace), client.MatchingFields{"regarding.uid": string(credential.UID)})
		add(base+"/events.yaml", events.Items, err)
	}
	return append(parts, gatherOperator(ctx, c)...)
}

// sizesOf are the sizes of a Secret's values, by key; nil where it cannot be read.
func sizesOf(ctx context.Context, c *cluster.Cluster, use cluster.Secret) map[string]int {
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: use.Namespace, Name: use.Name}, secret); err != nil {
		return nil
	}
	sizes := map[string]int{}
	for key, value := range secret.Data {
		sizes[key] = len(value)
	}
	return sizes
}

// gatherOperator has the operator's Deployment and the end of its log, which holds no
// secret.
func gatherOperator(ctx context.Context, c *cluster.Cluster) []Part {
	var parts []Part
	deployments := &appsv1.DeploymentList{}
	if err := c.List(ctx, deployments, installation.ManagerLabels); err != nil {
		return []Part{{"operator.yaml", []byte("not read: " + err.Error() + "\n")}}
	}
	for i := range deployments.Items {
		deployment := &deployments.Items[i]
		deployment.ManagedFields = nil
		for j := range deployment.Spec.Template.Spec.Containers {
			for k := range deployment.Spec.Template.Spec.Containers[j].Env {
				if env := &deployment.Spec.Template.Spec.Containers[j].Env[k]; env.Value != "" {
					env.Value = "[left out]"
				}
			}
		}
		delete(deployment.Annotations, corev1.LastAppliedConfigAnnotation) // it holds the environment too
		text, err := yaml.Marshal(deployment)
		if err != nil {
			text = []byte(err.Error())
		}
		parts = append(parts, Part{"operator/" + deployment.Name + ".yaml", text})
		parts = append(parts, logsOf(ctx, c, deployment.Namespace)...)
	}
	return parts
}

// logLines is how many lines of each pod's log are taken.
const logLines = 2000

func logsOf(ctx context.Context, c *cluster.Cluster, namespace string) []Part {
	pods := &corev1.PodList{}
	set, err := kubernetes.NewForConfig(c.Config)
	if err != nil || c.List(ctx, pods, client.InNamespace(namespace), installation.ManagerLabels) != nil {
		return nil
	}
	var parts []Part
	lines := int64(logLines)
	for _, pod := range pods.Items {
		text, err := set.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: &lines}).DoRaw(ctx)
		if err != nil {
			text = []byte("not read: " + err.Error() + "\n")
		}
		parts = append(parts, Part{"operator/" + pod.Name + ".log", text})
	}
	return parts
}
