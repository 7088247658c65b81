// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
)

// apiServer is a fake one that gives each object a UID and an age, and fails
// where a test says so.
type apiServer struct {
	client.WithWatch
	created atomic.Int64
	lists   atomic.Int64
	// before each request; an error fails it.
	before atomic.Pointer[func(verb string, key client.ObjectKey) error]
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	api := &apiServer{}
	api.WithWatch = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
			if err := api.fails("get", key); err != nil {
				return err
			}
			return c.Get(ctx, key, into, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, into client.ObjectList, options ...client.ListOption) error {
			api.lists.Add(1)
			if err := errors.Join(ctx.Err(), api.fails("list", client.ObjectKey{})); err != nil {
				return err
			}
			return c.List(ctx, into, options...)
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if err := api.fails("create", client.ObjectKeyFromObject(object)); err != nil {
				return err
			}
			n := api.created.Add(1)
			object.SetUID(types.UID(fmt.Sprintf("uid-%02d", n)))
			object.SetCreationTimestamp(metav1.NewTime(noon.Add(time.Duration(n) * time.Second)))
			return c.Create(ctx, object, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			if err := api.fails("update", client.ObjectKeyFromObject(object)); err != nil {
				return err
			}
			return c.Update(ctx, object, options...)
		},
	}).Build()
	return api
}

func (a *apiServer) fails(verb string, key client.ObjectKey) error {
	if before := a.before.Load(); before != nil {
		return (*before)(verb, key)
	}
	return nil
}

// intercept calls a function before each request from now on.
func (a *apiServer) intercept(before func(verb string, key client.ObjectKey) error) {
	a.before.Store(&before)
}

// failing fails the first n requests of a verb.
func (a *apiServer) failing(verb string, n int64, err error) {
	var failed atomic.Int64
	a.intercept(func(asked string, _ client.ObjectKey) error {
		if asked == verb && failed.Add(1) <= n {
			return err
		}
		return nil
	})
}

// key of the marks of all stores of the tests.
var key = digest.Random()

func (a *apiServer) store() *Store {
	return &Store{Client: a, Cluster: "cluster", Key: key, Backoff: &wait.Backoff{Duration: time.Nanosecond}}
}

func credentialOf(namespace, name string) *v1alpha1.TokenCredential {
	return &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// saved returns the record of a credential whose state was saved.
func saved(t *testing.T, store *Store, credential *v1alpha1.TokenCredential, state State) *Record {
	t.Helper()
	record, err := store.Load(t.Context(), credential)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Save(t.Context(), record, state); err != nil {
		t.Fatal(err)
	}
	return record
}

func (a *apiServer) secret(t *testing.T, credential *v1alpha1.TokenCredential) *corev1.Secret {
	t.Helper()
	stored := &corev1.Secret{}
	if err := a.Get(t.Context(), client.ObjectKey{Namespace: credential.Namespace, Name: credential.StateSecretName()}, stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

func (a *apiServer) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var shop = credentialOf("team", "shop")
