// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package digest

import (
	"context"
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const (
	// SecretName is the Secret that holds the key, in the operator's own namespace.
	SecretName = "tokenkeeper-digest-key"
	// dataKey is where in that Secret.
	dataKey = "key"
)

// Stored returns the key that all replicas and shards of one namespace share. The
// first of them makes it. reader reads from the API server, not from a cache.
//
// A key that is lost is made anew. No digest of before can be compared then; whoever
// compares one must take that for no news.
func Stored(ctx context.Context, reader client.Reader, writer client.Writer, namespace string) (Key, error) {
	key, err := read(ctx, reader, namespace)
	if !apierrors.IsNotFound(err) {
		return key, err
	}
	err = create(ctx, writer, namespace)
	if err != nil && !apierrors.IsAlreadyExists(err) { // another replica was faster
		return Key{}, failed("create", namespace, err)
	}
	return read(ctx, reader, namespace)
}

func read(ctx context.Context, reader client.Reader, namespace string) (Key, error) {
	stored := &corev1.Secret{}
	if err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: SecretName}, stored); err != nil {
		return Key{}, failed("read", namespace, err)
	}
	key, err := New(stored.Data[dataKey])
	if err != nil {
		return Key{}, fmt.Errorf("the Secret %s/%s holds no key for digests under %q (%w): delete it, and start the operator again, which makes another", namespace, SecretName, dataKey, err)
	}
	return key, nil
}

func create(ctx context.Context, writer client.Writer, namespace string) error {
	random := make([]byte, keySize)
	_, _ = rand.Read(random) // it never fails
	return writer.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      SecretName,
			Labels:    map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
		},
		Type:      v1alpha1.DigestKeySecretType,
		Immutable: ptr.To(true),
		Data:      map[string][]byte{dataKey: random},
	})
}

func failed(verb, namespace string, err error) error {
	return fmt.Errorf("the operator must be able to %s the Secret %s/%s, which holds the key for digests of secrets: allow it in its own namespace: %w", verb, namespace, SecretName, err)
}
