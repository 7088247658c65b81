// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lint"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// checkFile checks all that a file holds, with the operator's own packages.
func (p *plugin) checkFile(ctx context.Context, c *cluster, file string) (findings, error) {
	m, err := p.readManifest(c, file)
	if err != nil {
		return nil, err
	}
	if len(m.credentials)+len(m.providers) == 0 {
		return nil, fmt.Errorf("%s holds no TokenCredential and no ClusterTokenProvider", file)
	}
	var found findings
	for _, described := range m.providers {
		what := "ClusterTokenProvider " + described.Name
		compiled, err := compile.Provider(described.Name, described.Spec)
		if err != nil {
			found.add(screen.Wrong, what, "%s", problem.OneLine(err))
			continue
		}
		found.add(screen.Right, what, "it compiles")
		for _, warning := range lint.Warnings(compiled, described.Spec) {
			found.add(screen.Doubtful, what, "%s", warning)
		}
	}
	for _, credential := range m.credentials {
		m.check(ctx, credential, &found)
	}
	return found, nil
}

func (p *plugin) readManifest(c *cluster, file string) (*manifest, error) {
	text, err := p.readFile(file)
	if err != nil {
		return nil, err
	}
	objects, err := decodeAll(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	m, err := newManifest(c, objects)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

func (p *plugin) readFile(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(p.In)
	}
	return os.ReadFile(file)
}

// decodeAll decodes the objects of a file in YAML or JSON. They are maps at first: what the
// decoder of Kubernetes' objects says of one without a kind quotes it whole, and it may be a
// Secret.
func decodeAll(text []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var all []*unstructured.Unstructured
	for number := 1; ; number++ {
		var document json.RawMessage
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("object %d cannot be read: %w", number, err)
		}
		members := map[string]any{}
		if err := utiljson.Unmarshal(document, &members); err != nil {
			return nil, fmt.Errorf("object %d is no object", number)
		}
		if len(members) == 0 {
			continue
		}
		object := &unstructured.Unstructured{Object: members}
		if object.GetKind() == "" || object.GetAPIVersion() == "" {
			return nil, fmt.Errorf("object %d has no kind, or no apiVersion", number)
		}
		all = append(all, object)
	}
}

// manifest is what a file holds, over what the cluster has.
type manifest struct {
	cluster     *cluster
	raw         map[types.NamespacedName]*unstructured.Unstructured // the credentials, as written
	credentials []*v1alpha1.TokenCredential
	providers   []*v1alpha1.ClusterTokenProvider
	secrets     map[types.NamespacedName]*corev1.Secret
}

func newManifest(c *cluster, objects []*unstructured.Unstructured) (*manifest, error) {
	m := &manifest{cluster: c, raw: map[types.NamespacedName]*unstructured.Unstructured{}, secrets: map[types.NamespacedName]*corev1.Secret{}}
	for _, object := range objects {
		if object.GetNamespace() == "" && object.GetKind() != "ClusterTokenProvider" {
			object.SetNamespace(c.namespace)
		}
		var err error
		switch object.GetKind() {
		case "TokenCredential":
			credential := &v1alpha1.TokenCredential{}
			err = convert(object, credential)
			m.credentials = append(m.credentials, credential)
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

// convert reads an object as its type. What it quotes of a Secret goes no further.
func convert(object *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, into, object.GetKind() != "Secret"); err != nil {
		if object.GetKind() == "Secret" {
			return fmt.Errorf("the Secret %q is not a Secret: data holds base64, stringData text", object.GetName())
		}
		return fmt.Errorf("%s %q: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}

// Get implements client.Reader: what the file holds comes before what the cluster has.
func (m *manifest) Get(ctx context.Context, key types.NamespacedName, into client.Object, options ...client.GetOption) error {
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
func (m *manifest) List(ctx context.Context, into client.ObjectList, options ...client.ListOption) error {
	return m.cluster.List(ctx, into, options...)
}

// check checks one credential.
func (m *manifest) check(ctx context.Context, credential *v1alpha1.TokenCredential, found *findings) {
	what := "TokenCredential " + credential.Name
	if err := m.dryRun(ctx, credential); err != nil {
		found.add(screen.Wrong, what, "the API server does not take it: %s", err)
	} else {
		found.add(screen.Right, what, "the API server takes it, and you may apply it")
	}
	in, err := m.gather(ctx, credential)
	if err != nil {
		found.add(screen.Wrong, what, "%s", problem.From(err).Message)
		m.checkReferences(ctx, credential, what, found)
		return
	}
	found.add(screen.Right, what+", provider", "%s, and its parameters are as it wants them", in.Provider.Name)
	m.checkInputs(credential, in, what, found)
	m.checkTarget(ctx, credential, in, what, found)
}

// apply applies the credential as the file has it.
func (m *manifest) apply(ctx context.Context, credential *v1alpha1.TokenCredential, options ...client.ApplyOption) error {
	object := m.raw[client.ObjectKeyFromObject(credential)].DeepCopy()
	options = append(options, client.FieldOwner("kubectl-tokencredential"), client.ForceOwnership)
	err := m.cluster.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...)
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return errors.New(status.Status().Message)
	}
	return err
}

// dryRun has the API server judge the credential as the caller's. What it answers quotes no
// Secret: a TokenCredential holds none.
func (m *manifest) dryRun(ctx context.Context, credential *v1alpha1.TokenCredential) error {
	return m.apply(ctx, credential, client.DryRunAll)
}

func (m *manifest) gather(ctx context.Context, credential *v1alpha1.TokenCredential) (*inputs.Inputs, error) {
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

// checkInputs looks whether there is something to start from.
func (m *manifest) checkInputs(credential *v1alpha1.TokenCredential, in *inputs.Inputs, what string, found *findings) {
	for _, missing := range []*problem.Problem{in.AppMissing, in.SeedMissing, in.LoginMissing} {
		if missing == nil {
			continue
		}
		verdict := screen.Wrong
		if missing == in.LoginMissing && !in.Seed.IsZero() || missing == in.SeedMissing && in.CanLogin() {
			verdict = screen.Doubtful // the other suffices to start
		}
		found.add(verdict, what+", Secrets", "%s", missing.Message)
	}
	if in.AppMissing == nil && (!in.Seed.IsZero() || in.CanLogin()) {
		found.add(screen.Right, what+", Secrets", "%s", cmp.Or(strings.Join(named(credential), ", "), "none are needed"))
	}
}

// checkReferences looks for the Secrets alone, where the provider does not say what is to be
// in them: all that must be mended is told at once.
func (m *manifest) checkReferences(ctx context.Context, credential *v1alpha1.TokenCredential, what string, found *findings) {
	for _, reference := range inputs.References(credential) {
		metadata := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
		err := m.Get(ctx, types.NamespacedName{Namespace: credential.Namespace, Name: reference.Name}, metadata)
		if apierrors.IsNotFound(err) {
			found.add(screen.Wrong, what+", Secrets", "the Secret %q of %s does not exist: create it", reference.Name, reference.Field)
		}
	}
}

func named(credential *v1alpha1.TokenCredential) []string {
	var names []string
	for _, reference := range inputs.References(credential) {
		names = append(names, reference.Name)
	}
	return names
}

// checkTarget renders the target with a made-up token, and looks whether it may be written.
func (m *manifest) checkTarget(ctx context.Context, credential *v1alpha1.TokenCredential, in *inputs.Inputs, what string, found *findings) {
	what += ", target"
	template, err := render.NewCompiler().Compile(ctx, credential.Namespace, credential.Spec.Target, in.Provider.Outputs, in.Parameters)
	if err != nil {
		found.add(screen.Wrong, what, "%s", problem.From(err).Message)
		return
	}
	now := time.Unix(0, 0).UTC()
	rendered := template.Try("made-up-token", "made-up-output", token.Validity{IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
	var keys, left []string
	for _, key := range template.Keys() {
		if _, ok := rendered[key]; ok {
			keys = append(keys, key)
		} else {
			left = append(left, key)
		}
	}
	if len(left) > 0 {
		found.add(screen.Doubtful, what, "a made-up token gives nothing for %s", strings.Join(left, ", "))
	}
	publisher := &target.Publisher{Client: m.cluster.Client}
	existing := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
	err = m.cluster.Get(ctx, types.NamespacedName{Namespace: credential.Namespace, Name: credential.TargetName()}, existing)
	if apierrors.IsNotFound(err) {
		existing = nil
	}
	if _, err := publisher.Inspect(ctx, credential, template, existing, ""); err != nil {
		found.add(screen.Wrong, what, "%s", problem.From(err).Message)
		return
	}
	found.add(screen.Right, what, "the Secret %s will hold %s", credential.TargetName(), strings.Join(keys, ", "))
}
