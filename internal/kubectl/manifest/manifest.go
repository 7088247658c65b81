// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
)

// Manifest is what a file holds, over what the cluster has.
type Manifest struct {
	// Credentials that the file holds, in their order.
	Credentials []*v1alpha1.TokenCredential

	cluster   *cluster.Cluster
	raw       map[types.NamespacedName]*unstructured.Unstructured // the credentials, as written
	providers []*v1alpha1.ClusterTokenProvider
	secrets   map[types.NamespacedName]*corev1.Secret
}

// Read reads a manifest from a file; from in, where the file is named "-".
func Read(c *cluster.Cluster, file string, in io.Reader) (*Manifest, error) {
	text, err := readFile(file, in)
	if err != nil {
		return nil, err
	}
	objects, err := decodeAll(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	m, err := New(c, objects)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

func readFile(file string, in io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(file)
}

// New makes a manifest of objects; of none, it is what the cluster has.
func New(c *cluster.Cluster, objects []*unstructured.Unstructured) (*Manifest, error) {
	m := &Manifest{cluster: c, raw: map[types.NamespacedName]*unstructured.Unstructured{}, secrets: map[types.NamespacedName]*corev1.Secret{}}
	for _, object := range objects {
		if object.GetNamespace() == "" && object.GetKind() != "ClusterTokenProvider" {
			object.SetNamespace(c.Namespace)
		}
		var err error
		switch object.GetKind() {
		case "TokenCredential":
			credential := &v1alpha1.TokenCredential{}
			err = convert(object, credential)
			m.Credentials = append(m.Credentials, credential)
			m.raw[client.ObjectKeyFromObject(object)] = object
		case "ClusterTokenProvider":
			described := &v1alpha1.ClusterTokenProvider{}
			err = convert(object, described)
			m.providers = append(m.providers, described)
		case "Secret":
			secret := &corev1.Secret{}
			err = convert(object, secret)
			if secret.Data == nil {
				secret.Data = map[string][]byte{}
			}
			for key, value := range secret.StringData {
				secret.Data[key] = []byte(value)
			}
			secret.ResourceVersion = "1"
			m.secrets[client.ObjectKeyFromObject(secret)] = secret
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// IsEmpty reports whether there is nothing in it that could be checked.
func (m *Manifest) IsEmpty() bool { return len(m.Credentials)+len(m.providers) == 0 }

// Get implements client.Reader: what the file holds comes before what the cluster has.
func (m *Manifest) Get(ctx context.Context, key types.NamespacedName, into client.Object, options ...client.GetOption) error {
	switch into := into.(type) {
	case *corev1.Secret:
		if secret := m.secrets[key]; secret != nil {
			secret.DeepCopyInto(into)
			return nil
		}
	case *metav1.PartialObjectMetadata:
		if secret := m.secrets[key]; secret != nil && into.Kind == "Secret" {
			secret.ObjectMeta.DeepCopyInto(&into.ObjectMeta)
			return nil
		}
	case *v1alpha1.ClusterTokenProvider:
		for _, described := range m.providers {
			if described.Name == key.Name {
				described.DeepCopyInto(into)
				return nil
			}
		}
	}
	return m.cluster.Get(ctx, key, into, options...)
}

// List implements client.Reader.
func (m *Manifest) List(ctx context.Context, into client.ObjectList, options ...client.ListOption) error {
	return m.cluster.List(ctx, into, options...)
}

// Apply applies the credential as the file has it.
func (m *Manifest) Apply(ctx context.Context, credential *v1alpha1.TokenCredential, options ...client.ApplyOption) error {
	object := m.raw[client.ObjectKeyFromObject(credential)].DeepCopy()
	options = append(options, client.FieldOwner("kubectl-tokencredential"), client.ForceOwnership)
	err := m.cluster.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...)
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return errors.New(status.Status().Message)
	}
	return err
}

// DryRun has the API server judge the credential as the caller's. What it answers quotes no
// Secret: a TokenCredential holds none.
func (m *Manifest) DryRun(ctx context.Context, credential *v1alpha1.TokenCredential) error {
	return m.Apply(ctx, credential, client.DryRunAll)
}

// Gather reads what the credential is renewed with, as the operator would.
func (m *Manifest) Gather(ctx context.Context, credential *v1alpha1.TokenCredential) (*inputs.Inputs, error) {
	specs, err := builtin.Specs()
	if err != nil {
		return nil, err
	}
	catalog, err := inputs.NewCatalog(m, specs, []string{"*"})
	if err != nil {
		return nil, err
	}
	catalog.Namespaces = m.cluster
	gatherer := &inputs.Gatherer{Catalog: catalog, Secrets: &inputs.Secrets{Metadata: m, Live: m}}
	return gatherer.Gather(ctx, credential)
}
