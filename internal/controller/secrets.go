// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Secrets reads Secrets that credentials refer to. The cache holds their
// metadata alone; a value is read live, and not again while the cache shows the
// resourceVersion that was read.
type Secrets struct {
	// Metadata reads PartialObjectMetadata from the cache. A manager's client
	// would not do: it reads live whatever kind is not to be cached.
	Metadata client.Reader
	// Live reads from the API server.
	Live client.Reader

	mu      sync.RWMutex
	known   map[types.NamespacedName]*values
	reading singleflight.Group
}

// values are what a Secret held, in less than half of the memory that a Secret takes:
// there is one for each credential.
type values struct {
	version string
	all     []entry
}

type entry struct {
	key   string
	value []byte
}

func valuesOf(secret *corev1.Secret) *values {
	v := &values{version: secret.ResourceVersion, all: make([]entry, 0, len(secret.Data))}
	for key, value := range secret.Data {
		share(&key)
		v.all = append(v.all, entry{key, value})
	}
	return v
}

func (v *values) secret(key types.NamespacedName) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, ResourceVersion: v.version},
		Data:       make(map[string][]byte, len(v.all)),
	}
	for _, each := range v.all {
		secret.Data[each.key] = each.value
	}
	return secret
}

// absent is the version of a Secret that does not exist.
const absent = "absent"

// version of a Secret by the cache; absent where there is none.
func (s *Secrets) version(ctx context.Context, key types.NamespacedName) (string, error) {
	metadata, err := s.metadata(ctx, key)
	if metadata == nil {
		return absent, err
	}
	return metadata.ResourceVersion, nil
}

// metadata of a Secret by the cache; nil where there is none.
func (s *Secrets) metadata(ctx context.Context, key types.NamespacedName) (*metav1.PartialObjectMetadata, error) {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := s.Metadata.Get(ctx, key, metadata)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return metadata, nil
}

// get returns a Secret, which is not to be changed; nil where there is none.
func (s *Secrets) get(ctx context.Context, key types.NamespacedName) (*corev1.Secret, error) {
	version, err := s.version(ctx, key)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	known := s.known[key]
	s.mu.RUnlock()
	if known != nil && known.version == version {
		return known.secret(key), nil
	}
	// Thousands may refer to one Secret, and come at the same time.
	read, err, _ := s.reading.Do(key.String()+"@"+version, func() (any, error) {
		return s.getLive(context.WithoutCancel(ctx), key)
	})
	if err != nil {
		return nil, err
	}
	return read.(*corev1.Secret), nil
}

// getLive reads a Secret from the API server; nil where there is none.
func (s *Secrets) getLive(ctx context.Context, key types.NamespacedName) (*corev1.Secret, error) {
	live := &corev1.Secret{}
	err := s.Live.Get(ctx, key, live)
	if apierrors.IsNotFound(err) {
		s.forget(key)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %s", key, apierrors.ReasonForError(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[types.NamespacedName]*values{}
	}
	s.known[key] = valuesOf(live)
	return live, nil
}

// forget drops the value of a Secret: a credential that referred to it is gone.
func (s *Secrets) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
}
