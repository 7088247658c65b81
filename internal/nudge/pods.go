// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package nudge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Pods are the cluster's.
type Pods interface {
	// Each shows the pods of a namespace that have not ended, one after another. A pod is
	// the visitor's until it returns.
	Each(ctx context.Context, namespace string, visit func(*corev1.Pod)) error
	// Nudge sets the annotation on a pod.
	Nudge(ctx context.Context, pod types.NamespacedName, at time.Time) error
}

// APIServer asks the API server about pods.
type APIServer struct {
	reads  rest.Interface
	writes client.Writer
}

// NewAPIServer makes an APIServer that reads by the configuration and connections of a
// manager, and writes by its client.
func NewAPIServer(config *rest.Config, connections *http.Client, writes client.Writer) (*APIServer, error) {
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/api", &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.AcceptContentTypes, config.ContentType = "application/json", "application/json"
	reads, err := rest.RESTClientForConfigAndClient(config, connections)
	if err != nil {
		return nil, fmt.Errorf("make a client for pods: %w", err)
	}
	return &APIServer{reads, writes}, nil
}

// notOver selects the pods that have not ended.
var notOver = fields.AndSelectors(
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
)

// Each implements Pods. The list is read as it comes, so that there is one pod of it in
// memory, however many a namespace has and however large they are. The API server answers
// from its cache: a pod that it does not show there yet is so young that its kubelet
// fetches the Secret anew.
func (a *APIServer) Each(ctx context.Context, namespace string, visit func(*corev1.Pod)) error {
	list, err := a.reads.Get().Namespace(namespace).Resource("pods").
		VersionedParams(&metav1.ListOptions{FieldSelector: notOver.String(), ResourceVersion: "0"}, scheme.ParameterCodec).
		Stream(ctx)
	if err != nil {
		return err
	}
	defer list.Close()
	return decode(list, visit)
}

// decode reads the items of a list, one after another.
func decode(list io.Reader, visit func(*corev1.Pod)) error {
	reader := json.NewDecoder(list)
	if _, err := reader.Token(); err != nil { // {
		return err
	}
	for reader.More() {
		key, err := reader.Token()
		if err != nil {
			return err
		}
		if key != "items" {
			err = reader.Decode(&json.RawMessage{})
		} else {
			err = decodeItems(reader, visit)
		}
		if err != nil {
			return err
		}
	}
	_, err := reader.Token() // }, without which the list was cut short
	return err
}

func decodeItems(reader *json.Decoder, visit func(*corev1.Pod)) error {
	if begin, err := reader.Token(); err != nil || begin != json.Delim('[') { // null: there are none
		return err
	}
	for reader.More() {
		pod := &corev1.Pod{}
		if err := reader.Decode(pod); err != nil {
			return err
		}
		visit(pod)
	}
	_, err := reader.Token() // ]
	return err
}

// Nudge implements Pods.
func (a *APIServer) Nudge(ctx context.Context, pod types.NamespacedName, at time.Time) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		v1alpha1.NudgedAtAnnotation: at.UTC().Format(time.RFC3339Nano),
	}}})
	if err != nil {
		return err
	}
	patched := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
	patched.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	return a.writes.Patch(ctx, patched, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(v1alpha1.ManagedBy))
}
