// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package digest_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
)

const namespace = "operators"

func stored(data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: digest.SecretName}, Data: data}
}

func TestAllReplicasShareOneKey(t *testing.T) {
	t.Parallel()
	cluster := fake.NewFakeClient()
	names := make([]string, 8)
	var replicas sync.WaitGroup
	for i := range names {
		replicas.Go(func() {
			key, err := digest.Stored(t.Context(), cluster, cluster, namespace)
			if err != nil {
				t.Error(err)
			}
			names[i] = key.Name()
		})
	}
	replicas.Wait()
	for _, name := range names {
		if name == "" || name != names[0] {
			t.Fatalf("replicas that start at once have keys of their own: %v", names)
		}
	}
	made := &corev1.Secret{}
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(stored(nil)), made); err != nil {
		t.Fatal(err)
	}
	if made.Type != v1alpha1.DigestKeySecretType || made.Immutable == nil || !*made.Immutable {
		t.Errorf("nobody is to change the key by accident, or name it as an input: type %q, immutable %v", made.Type, made.Immutable)
	}
	if err := cluster.Delete(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if key, err := digest.Stored(t.Context(), cluster, cluster, namespace); err != nil || key.Name() == names[0] {
		t.Errorf("a key that is lost is made anew, at random: %v, %v", key, err)
	}
}

func TestAKeyThatCannotBeHadIsExplained(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, digest.SecretName, nil)
	cases := map[string]struct {
		reason   string
		existing []client.Object
		calls    interceptor.Funcs
		want     string
	}{
		"it may not be read": {"a Role is missing", nil, interceptor.Funcs{
			Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
				return forbidden
			},
		}, "must be able to read the Secret operators/tokenkeeper-digest-key"},
		"it may not be made": {"a Role is missing", nil, interceptor.Funcs{
			Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return forbidden },
		}, "must be able to create the Secret operators/tokenkeeper-digest-key"},
		"it is damaged": {"another key would make a mess that is hard to see", []client.Object{stored(map[string][]byte{"key": []byte("hunter2")})}, interceptor.Funcs{}, "delete it"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := fake.NewClientBuilder().WithObjects(c.existing...).WithInterceptorFuncs(c.calls).Build()
			_, err := digest.Stored(t.Context(), cluster, cluster, namespace)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}
