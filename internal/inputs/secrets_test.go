// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const (
	namespace = "team"
	canary    = "xK7qPz2mWv9tLs4"
)

var secretResource = schema.GroupResource{Resource: "secrets"}

// cluster holds Secrets, as the API server has them and as the cache shows them. It
// reads as either: metadata from the cache, Secrets live.
type cluster struct {
	client.Reader

	mu     sync.Mutex
	live   map[string]*corev1.Secret
	cached map[string]string // versions
	reads  int               // live
	fails  error             // every live read
	slow   time.Duration
}

func newCluster() *cluster {
	return &cluster{live: map[string]*corev1.Secret{}, cached: map[string]string{}}
}

// put stores a Secret, of which the cache learns too.
func (c *cluster) put(name, version string, data map[string]string) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: version}, Data: map[string][]byte{}}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	c.live[name], c.cached[name] = secret, version
}

// List finds none of what is no Secret.
func (c *cluster) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

func (c *cluster) remove(name string) {
	delete(c.live, name)
	delete(c.cached, name)
}

func (c *cluster) secrets() *Secrets { return &Secrets{Metadata: c, Live: c} }

// Get implements client.Reader.
func (c *cluster) Get(ctx context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	if into, ok := object.(*metav1.PartialObjectMetadata); ok {
		version, known := c.cached[key.Name]
		if !known {
			return apierrors.NewNotFound(secretResource, key.Name)
		}
		into.ResourceVersion = version
		return nil
	}
	time.Sleep(c.slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.fails != nil {
		return c.fails
	}
	secret, known := c.live[key.Name]
	if !known {
		return apierrors.NewNotFound(secretResource, key.Name)
	}
	secret.DeepCopyInto(object.(*corev1.Secret))
	return nil
}

func keyOf(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// TestSecretsAreReadOnce counts what is read from the API server.
func TestSecretsAreReadOnce(t *testing.T) {
	t.Parallel()
	get := func(s *Secrets) (*Values, error) {
		values, _, err := s.Get(context.Background(), keyOf("app"), "key")
		return values, err
	}
	for _, each := range []struct {
		name, reason string
		between      func(c *cluster, s *Secrets)
		reads        int
		want         string // of the second Get; "-": there is no Secret
	}{
		{"nothing has changed", "a value is not read again while the cache shows its version", func(*cluster, *Secrets) {}, 1, "first"},
		{"the Secret has changed", "the cache shows another version", func(c *cluster, _ *Secrets) { c.put("app", "2", map[string]string{"key": "second"}) }, 2, "second"},
		{"the Secret has changed, and the cache is stale", "what the cache does not show yet wakes the credential later", func(c *cluster, _ *Secrets) {
			c.put("app", "2", map[string]string{"key": "second"})
			c.cached["app"] = "1"
		}, 1, "first"},
		{"the Secret is gone", "that it is gone is asked live: a cache may lag behind its creation", func(c *cluster, _ *Secrets) { c.remove("app") }, 2, "-"},
		{"the cache has not seen the Secret yet", "it is there, live", func(c *cluster, _ *Secrets) { delete(c.cached, "app") }, 2, "first"},
		{"no credential names it any more", "its values do not stay in memory", func(_ *cluster, s *Secrets) { s.Forget(keyOf("app")) }, 2, "first"},
		{"it was read live", "the cache is passed by, and learns", func(c *cluster, s *Secrets) {
			c.put("app", "2", map[string]string{"key": "second"})
			_, _ = s.GetLive(context.Background(), keyOf("app"), "key")
		}, 2, "second"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			c := newCluster()
			c.put("app", "1", map[string]string{"key": "first"})
			s := c.secrets()
			if _, err := get(s); err != nil {
				t.Fatal(err)
			}
			each.between(c, s)
			values, err := get(s)
			if err != nil {
				t.Fatal(err)
			}
			got := "-"
			if values != nil {
				value, _ := values.Value("key")
				got = string(value)
			}
			if got != each.want || c.reads != each.reads {
				t.Errorf("the value is %q after %d reads, want %q after %d\nreason: %s", got, c.reads, each.want, each.reads, each.reason)
			}
			if each.want == "-" && s.cache().Size() > 0 {
				t.Error("the values of a Secret that is gone stay in memory")
			}
		})
	}
}

// TestSecretsKeepNothingThatIsNeverSent reads a Secret of each kind.
func TestSecretsKeepNothingThatIsNeverSent(t *testing.T) {
	t.Parallel()
	yes := true
	for _, each := range []struct {
		name, reason string
		change       func(*corev1.Secret)
		kept         bool
		unwritable   string
	}{
		{"a user's", "it is what the provider asks for", func(*corev1.Secret) {}, true, ""},
		{"a user's that cannot be changed", "it is read as any other, and nothing is written back to it", func(s *corev1.Secret) { s.Immutable = &yes }, true, "is immutable"},
		{"a Deployment's", "it is read as any other, and nothing is written back to it", func(s *corev1.Secret) {
			s.OwnerReferences = []metav1.OwnerReference{{Kind: "Deployment", Name: "web", Controller: &yes}}
		}, true, `is owned by Deployment "web"`},
		{"a certificate's", "it is read as any other, and nothing is written back to it", func(s *corev1.Secret) { s.Type = corev1.SecretTypeTLS }, true, "is of type kubernetes.io/tls, which is never written"},
		{"a service account's", "what is never sent has no place in memory", func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken }, false,
			"is of type kubernetes.io/service-account-token, which is never written"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			c := newCluster()
			c.put("app", "1", map[string]string{"key": canary})
			c.live["app"].Type = corev1.SecretTypeOpaque
			each.change(c.live["app"])
			values, _, err := c.secrets().Get(t.Context(), keyOf("app"), "key")
			if err != nil {
				t.Fatal(err)
			}
			if _, kept := values.Value("key"); kept != each.kept || values.Unwritable != each.unwritable {
				t.Errorf("its values are kept: %t, want %t; it says %q, want %q\nreason: %s", kept, each.kept, values.Unwritable, each.unwritable, each.reason)
			}
		})
	}
}

// TestSecretsShareARead has many credentials ask for one Secret at the same time.
func TestSecretsShareARead(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		fails        error
		reads        int
	}{
		{"the API server answers", "thousands may refer to one Secret", nil, 1},
		{"the API server fails", "the failure is shared, and not remembered: the next asks again", errors.New("away"), 2},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				c.put("app", "1", nil)
				c.fails, c.slow = each.fails, time.Second
				s := c.secrets()
				began := time.Now()
				ctx, end := context.WithCancel(t.Context())
				go func() { // it begins the read that all share
					if _, _, err := s.Get(ctx, keyOf("app")); !errors.Is(err, context.Canceled) || time.Since(began) > 0 {
						t.Errorf("whoever is ending does not wait for an answer: %v after %s", err, time.Since(began))
					}
				}()
				synctest.Wait()
				for range 100 {
					go func() {
						if _, _, err := s.Get(t.Context(), keyOf("app")); !errors.Is(err, each.fails) {
							t.Errorf("the others must not be told that one is ending: %v", err)
						}
					}()
				}
				synctest.Wait()
				end()
				synctest.Wait()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				_, _, _ = s.Get(t.Context(), keyOf("app"))
				if c.reads != each.reads {
					t.Errorf("%d reads, want %d\nreason: %s", c.reads, each.reads, each.reason)
				}
			})
		})
	}
}

// TestSecretsAreBoundedInBytes fills the cache, and counts what is read again.
func TestSecretsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	const large = MaxValue
	c := newCluster()
	s := c.secrets()
	filling := maxCached/large + 8
	get := func(name string) {
		if _, _, err := s.Get(t.Context(), keyOf(name), "key"); err != nil {
			t.Fatal(err)
		}
	}
	c.put("used", "1", map[string]string{"key": "value"})
	c.put("idle", "1", map[string]string{"key": "value"})
	get("used")
	get("idle")
	value := string(make([]byte, large))
	for n := range filling {
		name := "large" + strconv.Itoa(n)
		c.put(name, "1", map[string]string{"key": value})
		get(name)
		get("used")
	}
	if want := filling + 2; c.reads != want {
		t.Errorf("%d reads, want %d: what is in use stays, whoever fills the cache", c.reads, want)
	}
	for _, each := range []struct {
		name, reason string
		reads        int
	}{
		{"used", "what is in use stays, whoever fills the cache", 0},
		{"large" + strconv.Itoa(filling-1), "what came last stays", 0},
		{"idle", "what was not used for longest goes first", 1},
		{"large0", "large Secrets go too", 1},
	} {
		before := c.reads
		get(each.name)
		if got := c.reads - before; got != each.reads {
			t.Errorf("%s is read %d times more, want %d\nreason: %s", each.name, got, each.reads, each.reason)
		}
	}
	if held := s.cache().Size(); held > maxCached {
		t.Errorf("%d bytes are held, more than %d", held, maxCached)
	}
	for name := range c.live {
		s.Forget(keyOf(name))
	}
	if held := s.cache().Size(); held != 0 {
		t.Errorf("all is forgotten, and %d bytes stay", held)
	}
}

// TestSecretsKeepWhatIsNamed asks for some keys of a Secret that has others.
func TestSecretsKeepWhatIsNamed(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a Secret of 1 MiB")
	fits, over := strings.Repeat("x", MaxValue), strings.Repeat("x", MaxValue+1)
	c := newCluster()
	c.put("app", "1", map[string]string{"key": "value", "fits": fits, "over": over, "other": fits})
	s := c.secrets()
	for _, each := range []struct {
		name, reason, key string
		present           bool
		tooLarge, reads   int
	}{
		{"a key", "it is read", "key", true, 0, 1},
		{"the same key", "it is known", "key", true, 0, 1},
		{"a value of the size allowed", "the bound is inclusive; another key is read again", "fits", true, 0, 2},
		{"a value of one byte too many", "its size is told, and its bytes are not kept", "over", false, MaxValue + 1, 3},
		{"the first key again", "what is known at one version stays", "key", true, 0, 3},
		{"a key that is not there", "that is known too, after one read", "none", false, 0, 4},
		{"the missing key again", "it is not read again", "none", false, 0, 4},
	} {
		values, _, err := s.Get(t.Context(), keyOf("app"), each.key)
		if err != nil {
			t.Fatal(err)
		}
		_, present := values.Value(each.key)
		if present != each.present || values.TooLarge(each.key) != each.tooLarge || c.reads != each.reads {
			t.Errorf("%s: present %v, too large %d, %d reads; want %v, %d, %d\nreason: %s",
				each.name, present, values.TooLarge(each.key), c.reads, each.present, each.tooLarge, each.reads, each.reason)
		}
	}
	if held := s.cache().Size(); held > 2*MaxValue {
		t.Errorf("%d bytes are held: values that nobody names, or that are too large, must not be", held)
	}
}

// TestSecretsForgetKeysThatAreNotNamed has someone name ever new keys of one Secret.
func TestSecretsForgetKeysThatAreNotNamed(t *testing.T) {
	t.Parallel()
	c := newCluster()
	c.put("app", "1", map[string]string{"key": "value"})
	s := c.secrets()
	for n := range 10 * maxKeys {
		if _, _, err := s.Get(t.Context(), keyOf("app"), "key"+strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
	}
	if known, _ := s.cache().Get(keyOf("app")); len(known.pairs) > 2*maxKeys {
		t.Errorf("%d keys are kept", len(known.pairs))
	}
}
