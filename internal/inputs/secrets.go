// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"container/list"
	"context"
	"sync"
	"time"
	"unique"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/guard"
)

const (
	// maxCached bounds the bytes of Secret values in memory: enough for the tokens
	// of 50,000 credentials, and too little for a namespace to fill the process
	// with large Secrets. What was not used for longest goes first.
	maxCached = 32 << 20
	// entryOverhead is what an entry takes beside the values, in bytes.
	entryOverhead = 256
	// readTimeout bounds a read that is shared.
	readTimeout = 30 * time.Second
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

	mu      sync.Mutex
	known   map[types.NamespacedName]*list.Element // of *entry
	used    list.List                              // front: used last
	bytes   int
	reading singleflight.Group
}

// entry is a Secret in memory.
type entry struct {
	key    types.NamespacedName
	values *Values
	size   int
}

// Values are what a Secret held, in less than half of the memory that a Secret
// takes: there is one for each credential. They are not to be changed.
type Values struct {
	Name    string
	Version string // the Secret's resourceVersion
	Type    corev1.SecretType
	// Unwritable says what forbids to write the Secret, such as "is immutable"; empty:
	// nothing does.
	Unwritable string
	pairs      []pair
}

type pair struct {
	key   string
	value []byte
}

// Value under a key.
func (v *Values) Value(key string) ([]byte, bool) {
	for _, each := range v.pairs {
		if each.key == key {
			return each.value, true
		}
	}
	return nil, false
}

func valuesOf(secret *corev1.Secret) *Values {
	v := &Values{
		Name:    secret.Name,
		Version: secret.ResourceVersion,
		Type:    unique.Make(secret.Type).Value(),
	}
	if obstacle := guard.Unwritable(secret, nil); obstacle != nil {
		v.Unwritable = obstacle.Why
	}
	if guard.IsNeverSent(secret.Type) {
		return v
	}
	v.pairs = make([]pair, 0, len(secret.Data))
	for key, value := range secret.Data {
		v.pairs = append(v.pairs, pair{unique.Make(key).Value(), value})
	}
	return v
}

// Absent is the version of a Secret that does not exist.
const Absent = "absent"

// Version of a Secret by the cache; Absent where there is none.
func (s *Secrets) Version(ctx context.Context, key types.NamespacedName) (string, error) {
	cached, err := s.Cached(ctx, key)
	if cached == nil {
		return Absent, err
	}
	return cached.ResourceVersion, nil
}

// Cached returns the metadata of a Secret by the cache, not to be changed; nil
// where there is none.
func (s *Secrets) Cached(ctx context.Context, key types.NamespacedName) (*metav1.PartialObjectMetadata, error) {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := s.Metadata.Get(ctx, key, metadata, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return metadata, nil
}

// Get returns a Secret's values; nil where there is no such Secret.
func (s *Secrets) Get(ctx context.Context, key types.NamespacedName) (*Values, error) {
	version, err := s.Version(ctx, key)
	if err != nil {
		return nil, err
	}
	if known := s.lookUp(key); known != nil && known.Version == version {
		return known, nil
	}
	// Thousands may refer to one Secret, and come at the same time. The read is that of
	// all, so that it does not end with the one that began it.
	read := s.reading.DoChan(key.String()+"@"+version, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		return s.GetLive(ctx, key)
	})
	select {
	case result := <-read:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*Values), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// GetLive reads a Secret from the API server; nil where there is none.
func (s *Secrets) GetLive(ctx context.Context, key types.NamespacedName) (*Values, error) {
	live := &corev1.Secret{}
	err := s.Live.Get(ctx, key, live)
	if apierrors.IsNotFound(err) {
		s.Forget(key)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	read := valuesOf(live)
	s.remember(key, read)
	return read, nil
}

// Forget drops the values of a Secret that no credential refers to any more.
func (s *Secrets) Forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.known[key])
}

func (s *Secrets) lookUp(key types.NamespacedName) *Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.known[key]
	if known == nil {
		return nil
	}
	s.used.MoveToFront(known)
	return known.Value.(*entry).values
}

func (s *Secrets) remember(key types.NamespacedName, read *Values) {
	size := entryOverhead
	for _, each := range read.pairs {
		size += len(each.key) + len(each.value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.known[key])
	if s.known == nil {
		s.known = map[types.NamespacedName]*list.Element{}
	}
	s.known[key] = s.used.PushFront(&entry{key, read, size})
	s.bytes += size
	for s.bytes > maxCached {
		s.drop(s.used.Back())
	}
}

func (s *Secrets) drop(known *list.Element) {
	if known == nil {
		return
	}
	dropped := s.used.Remove(known).(*entry)
	delete(s.known, dropped.key)
	s.bytes -= dropped.size
}
