// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/guard"
	"github.com/tokenkeeper/tokenkeeper/internal/lru"
)

const (
	// maxCached bounds the bytes of Secret values in memory: enough for the tokens
	// of 50,000 credentials, and too little for a namespace to fill the process
	// with large Secrets. What the namespace that holds most has not used for longest
	// goes first.
	maxCached = 32 << 20
	// MaxValue is the size of the largest value that is used, in bytes: a chain of
	// certificates, or a private key, takes a fourth of it. Of a larger one only its
	// size is kept.
	MaxValue = 64 << 10
	// maxKeys is how many keys of a Secret are kept before those that nobody names any
	// more are forgotten.
	maxKeys = 64
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
	// Shown is the resourceVersion that the cache has come to. nil, or empty: it is not known.
	Shown func() string

	once    sync.Once
	known   *lru.Cache[types.NamespacedName, *Values]
	reading singleflight.Group
}

// Values are what a Secret held under the keys that credentials name, in less than
// half of the memory that a Secret takes: there is one for each credential. They are
// not to be changed.
type Values struct {
	Name    string
	Version string // the Secret's resourceVersion
	Type    corev1.SecretType
	// Unwritable says what forbids to write the Secret, such as "is immutable"; empty:
	// nothing does.
	Unwritable string
	pairs      []pair
}

// pair is a key that was asked for, and what the Secret held under it.
type pair struct {
	key   string
	value []byte // nil where it is too large
	size  int    // of the value; absent: there is none
}

const absent = -1

// Value under a key; present is false where there is none, and where it is too large.
func (v *Values) Value(key string) (value []byte, present bool) {
	if known := v.pair(key); known != nil && known.size != absent && known.size <= MaxValue {
		return known.value, true
	}
	return nil, false
}

// TooLarge gives the size of the value under a key, in bytes, where it is larger than
// MaxValue; else 0.
func (v *Values) TooLarge(key string) int {
	if known := v.pair(key); known != nil && known.size > MaxValue {
		return known.size
	}
	return 0
}

func (v *Values) pair(key string) *pair {
	for i := range v.pairs {
		if v.pairs[i].key == key {
			return &v.pairs[i]
		}
	}
	return nil
}

// hasAsked reports whether all these keys were looked for.
func (v *Values) hasAsked(keys []string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { return v.pair(key) == nil })
}

// valuesOf keeps the values under these keys, and what is known of others at the same
// version. It copies, since the values of a Secret share one block of memory.
func valuesOf(secret *corev1.Secret, keys []string, before *Values) *Values {
	v := &Values{Name: secret.Name, Version: secret.ResourceVersion, Type: unique.Make(secret.Type).Value(), pairs: make([]pair, 0, len(keys))}
	if obstacle := guard.Unwritable(secret, nil); obstacle != nil {
		v.Unwritable = obstacle.Why
	}
	if before != nil && before.Version == v.Version && len(before.pairs) < maxKeys {
		v.pairs = append(v.pairs, before.pairs...)
	}
	for _, key := range keys {
		if v.pair(key) != nil {
			continue
		}
		read := pair{key: unique.Make(key).Value(), size: absent}
		if value, has := secret.Data[key]; has && !guard.IsNeverSent(secret.Type) {
			if read.size = len(value); read.size <= MaxValue {
				read.value = slices.Clone(value)
			}
		}
		v.pairs = append(v.pairs, read)
	}
	return v
}

// bytes is about what the values take in memory.
func (v *Values) bytes() int {
	size := entryOverhead
	for _, each := range v.pairs {
		size += len(each.key) + len(each.value)
	}
	return size
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

// IsYetToShow reports whether the cache has not come to a version yet, so that a Secret that
// is not there may have been written since.
func (s *Secrets) IsYetToShow(version string) bool {
	if s.Shown == nil {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(s.Shown(), version)
	return err == nil && order < 0
}

// Get returns a Secret's values under these keys, and maybe under others; nil where
// there is no such Secret. It says whether they were read from the API server, by a read
// that began after the call.
func (s *Secrets) Get(ctx context.Context, key types.NamespacedName, keys ...string) (values *Values, live bool, err error) {
	version, err := s.Version(ctx, key)
	if err != nil {
		return nil, false, err
	}
	if known, ok := s.cache().Get(key); ok && known.Version == version && known.hasAsked(keys) {
		return known, false, nil
	}
	// Thousands may refer to one Secret, and come at the same time. The read is that of
	// all, so that it does not end with the one that began it.
	read := s.reading.DoChan(key.String()+"@"+version+"/"+strings.Join(keys, "/"), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		return s.GetLive(ctx, key, keys...)
	})
	select {
	case result := <-read:
		if result.Err != nil {
			return nil, false, result.Err
		}
		return result.Val.(*Values), !result.Shared, nil
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
}

// GetLive reads a Secret's values under these keys from the API server; nil where there
// is no such Secret.
func (s *Secrets) GetLive(ctx context.Context, key types.NamespacedName, keys ...string) (*Values, error) {
	live := &corev1.Secret{}
	err := s.Live.Get(ctx, key, live)
	if apierrors.IsNotFound(err) {
		s.Forget(key)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	before, _ := s.cache().Get(key)
	read := valuesOf(live, keys, before)
	s.cache().Put(key, read, read.bytes())
	return read, nil
}

// Forget drops the values of a Secret that no credential refers to any more.
func (s *Secrets) Forget(key types.NamespacedName) {
	s.cache().Drop(key)
}

func (s *Secrets) cache() *lru.Cache[types.NamespacedName, *Values] {
	s.once.Do(func() {
		s.known = lru.New[types.NamespacedName, *Values](maxCached, func(key types.NamespacedName, _ *Values) string { return key.Namespace })
	})
	return s.known
}
