// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	sigsyaml "sigs.k8s.io/yaml"
)

const (
	namespace = "tokenkeeper-system"
	fieldUser = client.FieldOwner("kubectl")
)

// operator is one that is installed.
type operator struct {
	objects    []*unstructured.Unstructured
	deployment client.ObjectKey
}

// installedBy are the ways to install that the project ships.
var installedBy = map[string]func(*testing.T, int) []*unstructured.Unstructured{
	"the one-file installer": fromInstaller,
	"the Helm chart":         fromChartWith(nil),
}

// install installs the operator with a number of replicas, waits until it is ready, and
// removes it when the test ends.
func install(t *testing.T, from func(*testing.T, int) []*unstructured.Unstructured, replicas int) *operator {
	t.Helper()
	o := &operator{objects: from(t, replicas)}
	t.Cleanup(func() { o.uninstall(t) })
	for _, each := range o.objects {
		if each.GetKind() == "Deployment" {
			o.deployment = client.ObjectKeyFromObject(each)
		}
		o.apply(t, each)
	}
	o.awaitReady(t)
	return o
}

func (o *operator) apply(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	eventually(t, 30*time.Second, "the API server takes "+object.GetKind()+" "+object.GetName(), func() error {
		return env.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), fieldUser, client.ForceOwnership)
	})
}

// awaitReady waits until every replica is.
func (o *operator) awaitReady(t *testing.T) {
	t.Helper()
	eventually(t, 3*time.Minute, "the operator is ready", func() error {
		deployment := &appsv1.Deployment{}
		if err := env.Get(t.Context(), o.deployment, deployment); err != nil {
			return err
		}
		s := deployment.Status
		if want := *deployment.Spec.Replicas; s.ObservedGeneration != deployment.Generation || s.UpdatedReplicas != want || s.ReadyReplicas != want || s.Replicas != want {
			return fmt.Errorf("%d updated, %d ready, of %d", s.UpdatedReplicas, s.ReadyReplicas, want)
		}
		return nil
	})
}

// pods of the operator.
func (o *operator) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	pods := &corev1.PodList{}
	must(t, env.List(t.Context(), pods, client.InNamespace(o.deployment.Namespace), client.MatchingLabels{"app.kubernetes.io/name": "tokenkeeper"}))
	return pods.Items
}

// scale sets the number of replicas, and waits until it is so.
func (o *operator) scale(t *testing.T, replicas int) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	must(t, env.Patch(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: o.deployment.Namespace, Name: o.deployment.Name}},
		client.RawPatch("application/merge-patch+json", patch)))
	o.awaitReady(t)
	eventually(t, 3*time.Minute, fmt.Sprintf("there are %d pods", replicas), func() error {
		if got := len(o.pods(t)); got != replicas {
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
}

// uninstall deletes what was installed, the last first, as kubectl delete and helm
// uninstall do, and waits until it has gone.
func (o *operator) uninstall(t *testing.T) {
	t.Helper()
	ctx, cancel := background()
	defer cancel()
	reversed := slices.Clone(o.objects)
	slices.Reverse(reversed)
	for _, each := range reversed {
		if err := env.Delete(ctx, each.DeepCopy(), client.PropagationPolicy(metav1.DeletePropagationBackground)); client.IgnoreNotFound(err) != nil {
			t.Errorf("delete %s %s: %v", each.GetKind(), each.GetName(), err)
		}
	}
	for _, each := range reversed {
		eventually(t, patience, each.GetKind()+" "+each.GetName()+" has gone", func() error {
			err := env.Get(ctx, client.ObjectKeyFromObject(each), each.DeepCopy())
			if apierrors.IsNotFound(err) {
				return nil
			}
			return errors.Join(errors.New("it is still there"), err)
		})
	}
}

// fromInstaller is dist/install.yaml with what a user of it changes: the image and, for
// a provider at a private address, three flags.
func fromInstaller(t *testing.T, replicas int) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "dist", "install.yaml"))
	must(t, err)
	objects, err := decode(text)
	must(t, err)
	for i, each := range objects {
		if each.GetKind() != "Deployment" {
			continue
		}
		deployment := &appsv1.Deployment{}
		must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(each.Object, deployment))
		pod := &deployment.Spec.Template.Spec
		deployment.Spec.Replicas = new(int32(replicas))
		courier, manager := &pod.InitContainers[0], &pod.Containers[0]
		for _, container := range []*corev1.Container{courier, manager} {
			container.Image, container.ImagePullPolicy = env.manager, corev1.PullIfNotPresent
		}
		courier.Args = append(courier.Args, append(egressFlags(), "--egress-allow-cidrs="+env.host+"/32", "--egress-ca-file=/ca/ca.crt")...)
		courier.VolumeMounts = append(courier.VolumeMounts, corev1.VolumeMount{Name: "ca", MountPath: "/ca"})
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "ca", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "provider-ca"}}}})
		changed, err := runtime.DefaultUnstructuredConverter.ToUnstructured(deployment)
		must(t, err)
		unstructured.RemoveNestedField(changed, "status")
		objects[i] = &unstructured.Unstructured{Object: changed}
		ca := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": "provider-ca", "namespace": namespace},
			"data":     map[string]any{"ca.crt": string(env.server.CAPEM())},
		}}
		return slices.Insert(objects, i, ca)
	}
	t.Fatal("the installer has no Deployment")
	return nil
}

// egressFlags send the calls for the providers' hosts to the simulator.
func egressFlags() []string {
	return []string{"--egress-resolve=" + strings.Join(env.server.Resolve(), ",")}
}

// fromChartWith is the chart with further values.
func fromChartWith(more map[string]any) func(*testing.T, int) []*unstructured.Unstructured {
	return func(t *testing.T, replicas int) []*unstructured.Unstructured {
		image, tag, _ := strings.Cut(env.manager, ":")
		values := map[string]any{
			"replicas":  replicas,
			"image":     map[string]any{"repository": image, "tag": tag},
			"egress":    map[string]any{"allowCIDRs": []string{env.host + "/32"}, "extraCA": string(env.server.CAPEM())},
			"extraArgs": egressFlags(),
		}
		maps.Copy(values, more)
		return renderChart(t, values)
	}
}

// renderChart renders as helm install does, for a namespace that enforces the strictest
// Pod Security Standard.
func renderChart(t *testing.T, wanted map[string]any) []*unstructured.Unstructured {
	t.Helper()
	values, err := sigsyaml.Marshal(wanted)
	must(t, err)
	chart, err := loader.Load(filepath.Join(repository, "charts", "tokenkeeper"))
	must(t, err)
	given := map[string]any{}
	must(t, sigsyaml.Unmarshal(values, &given))
	all, err := util.ToRenderValues(chart, given, common.ReleaseOptions{Name: "tokenkeeper", Namespace: namespace, Revision: 1, IsInstall: true}, common.DefaultCapabilities)
	must(t, err)
	files, err := engine.Render(chart, all)
	must(t, err)
	objects := []*unstructured.Unstructured{{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": namespace, "labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted"}},
	}}}
	for name, text := range files {
		if filepath.Ext(name) == ".yaml" {
			more, err := decode([]byte(text))
			must(t, err)
			objects = append(objects, more...)
		}
	}
	// Helm's order, as far as it matters here.
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	return objects
}

func rank(object *unstructured.Unstructured) int {
	order := []string{"Namespace", "CustomResourceDefinition", "PriorityClass", "ServiceAccount", "ConfigMap", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service"}
	if i := slices.Index(order, object.GetKind()); i >= 0 {
		return i
	}
	return len(order)
}

func decode(text []byte) ([]*unstructured.Unstructured, error) {
	objects := []*unstructured.Unstructured{}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}
