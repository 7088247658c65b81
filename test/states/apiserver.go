// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package states

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
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// APIServer is a fake one that gives each object a UID and an age, and fails
// where a test says so.
type APIServer struct {
	client.WithWatch
	created atomic.Int64
	// Lists that were asked for.
	Lists atomic.Int64
	// before each request; an error fails it.
	before atomic.Pointer[func(verb string, key client.ObjectKey) error]
}

// NewAPIServer is one that holds nothing.
func NewAPIServer(t *testing.T) *APIServer {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	api := &APIServer{}
	api.WithWatch = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
			if err := api.fails("get", key); err != nil {
				return err
			}
			return c.Get(ctx, key, into, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, into client.ObjectList, options ...client.ListOption) error {
			api.Lists.Add(1)
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
			object.SetCreationTimestamp(metav1.NewTime(Noon.Add(time.Duration(n) * time.Second)))
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

func (a *APIServer) fails(verb string, key client.ObjectKey) error {
	if before := a.before.Load(); before != nil {
		return (*before)(verb, key)
	}
	return nil
}

// Intercept calls a function before each request from now on.
func (a *APIServer) Intercept(before func(verb string, key client.ObjectKey) error) {
	a.before.Store(&before)
}

// Failing fails the first n requests of a verb.
func (a *APIServer) Failing(verb string, n int64, err error) {
	var failed atomic.Int64
	a.Intercept(func(asked string, _ client.ObjectKey) error {
		if asked == verb && failed.Add(1) <= n {
			return err
		}
		return nil
	})
}

// Secret of a credential's state.
func (a *APIServer) Secret(t *testing.T, credential *v1alpha1.TokenCredential) *corev1.Secret {
	t.Helper()
	stored := &corev1.Secret{}
	if err := a.Get(t.Context(), client.ObjectKey{Namespace: credential.Namespace, Name: credential.StateSecretName()}, stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

// Must have succeeded.
func (a *APIServer) Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Remake changes what an update may not.
func (a *APIServer) Remake(t *testing.T, credential *v1alpha1.TokenCredential, change func(*corev1.Secret)) {
	t.Helper()
	stored := a.Secret(t, credential)
	a.Must(t, a.Delete(t.Context(), stored.DeepCopy()))
	stored.ResourceVersion = ""
	change(stored)
	a.Must(t, a.Create(t.Context(), stored))
}
