// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/turnstile"
)

// readsAtOnce is how many Secrets of a namespace are read at once. A Secret may have a
// MiB, which takes three times as much while it is decoded, and no more than its size is
// known before: so a namespace takes some 24 MiB at most, where all workers would take
// 200. Small Secrets take milliseconds, and 8 at once are thousands a second.
const readsAtOnce = 8

// Bound bounds how many Secrets of each namespace a client and a reader read at once, both
// together.
func Bound(unbound client.Client, live client.Reader) (client.Client, client.Reader) {
	reads := turnstile.New(readsAtOnce)
	return boundedClient{unbound, reads}, boundedReader{live, reads}
}

// boundedReader reads a few Secrets of each namespace at once, whatever they are: inputs,
// states and targets.
type boundedReader struct {
	client.Reader
	reads *turnstile.Turnstile
}

// Get implements client.Reader.
func (r boundedReader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	leave, err := enter(ctx, r.reads, key.Namespace, object)
	if err != nil {
		return err
	}
	defer leave()
	return r.Reader.Get(ctx, key, object, options...)
}

// boundedClient bounds what a client reads in the same way. The reply to an applied patch
// is the whole Secret as well, others' keys of it included.
type boundedClient struct {
	client.Client
	reads *turnstile.Turnstile
}

// Get implements client.Client.
func (c boundedClient) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	return boundedReader{c.Client, c.reads}.Get(ctx, key, object, options...)
}

// Patch implements client.Client.
func (c boundedClient) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	leave, err := enter(ctx, c.reads, object.GetNamespace(), object)
	if err != nil {
		return err
	}
	defer leave()
	return c.Client.Patch(ctx, object, patch, options...)
}

func enter(ctx context.Context, reads *turnstile.Turnstile, namespace string, object client.Object) (leave func(), err error) {
	if _, isWhole := object.(*corev1.Secret); !isWhole { // metadata, or another kind, which the operator bounds
		return func() {}, nil
	}
	return reads.Enter(ctx, namespace)
}
