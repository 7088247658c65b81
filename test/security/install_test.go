// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package security

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

var root = filepath.Join("..", "..")

const (
	// patience bounds a wait for a condition. Nothing is awaited that long where all
	// is well.
	patience = 2 * time.Minute
	// operatorAccount is the operator's, as it is installed.
	operatorAccount = "system:serviceaccount:tokenkeeper-system:tokenkeeper-controller-manager"
)

// install applies dist/install.yaml as it is shipped, once, and waits until its policy
// is in force. It returns an admin's client.
func install(t *testing.T) client.Client {
	t.Helper()
	admin := apiserver.NewClient(t)
	if err := installed(); err != nil {
		t.Fatal(err)
	}
	return admin
}

var installed = sync.OnceValue(func() error {
	ctx := context.Background() // the install is for all tests
	admin, err := client.New(apiserver.Config, client.Options{})
	if err != nil {
		return err
	}
	shipped, err := os.ReadFile(filepath.Join(root, "dist", "install.yaml"))
	if err != nil {
		return err
	}
	objects, err := decode(shipped)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := apply(ctx, admin, object); err != nil {
			return fmt.Errorf("dist/install.yaml: %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return inForce(ctx)
})

// inForce waits until the API server has read the policy: it refuses a user without
// any right to Secrets what it let them do before. An API server reads policies a
// moment after they were written.
func inForce(ctx context.Context) error {
	admin, err := client.New(apiserver.Config, client.Options{})
	if err != nil {
		return err
	}
	for _, object := range []string{`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: trial}
rules: [{apiGroups: [tokenkeeper.io], resources: [tokencredentials], verbs: [create]}]`, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: trial}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: trial}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: trial}]`} {
		if err := apply(ctx, admin, parse(object)); err != nil {
			return err
		}
	}
	trial, err := client.New(as("trial"), client.Options{})
	if err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, 25*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		err := trial.Create(ctx, parse(`
apiVersion: tokenkeeper.io/v1alpha1
kind: TokenCredential
metadata: {name: trial, namespace: default}
spec: {providerRef: {name: xiaomi}}`), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy"), nil
	})
}

// apply applies an object as `kubectl apply --server-side` does: a field that the API
// server does not know is an error.
func apply(ctx context.Context, c client.Client, object *unstructured.Unstructured, options ...client.ApplyOption) error {
	options = append([]client.ApplyOption{client.ForceOwnership, client.FieldOwner("install")}, options...)
	return c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...)
}

// decode reads the documents of a YAML file.
func decode(text []byte) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case len(object.Object) > 0:
			all = append(all, object)
		}
	}
}

// parse reads an object that a test has written.
func parse(text string) *unstructured.Unstructured {
	objects, err := decode([]byte(text))
	if err != nil || len(objects) != 1 {
		panic(fmt.Sprintf("%d objects, %v: %s", len(objects), err, text))
	}
	return objects[0]
}

// as is the API server's configuration for another user, who holds no right but those
// that are bound to this name and these groups.
func as(user string, groups ...string) *rest.Config {
	config := rest.CopyConfig(apiserver.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	return config
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func isForbidden(err error, says ...string) bool {
	for _, part := range says {
		if err == nil || !strings.Contains(err.Error(), part) {
			return false
		}
	}
	return apierrors.IsForbidden(err)
}

// namespace makes a namespace for one test.
func namespace(t *testing.T, admin client.Client) string {
	t.Helper()
	made := &unstructured.Unstructured{}
	made.SetAPIVersion("v1")
	made.SetKind("Namespace")
	made.SetGenerateName("security-")
	must(t, admin.Create(t.Context(), made))
	return made.GetName()
}
