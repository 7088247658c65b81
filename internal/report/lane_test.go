// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

var shop = types.NamespacedName{Namespace: "team", Name: "shop"}

// world is a lane, an API server, and what the lane did.
type world struct {
	*Lane
	t      testing.TB
	server client.WithWatch // what it holds, past the faults
	// before and after a status is written; before may refuse it.
	before func(ctx context.Context, key types.NamespacedName) error
	after  func(written *v1alpha1.TokenCredential)

	mu      sync.Mutex
	written []int64 // the refresh counts that were written, in order
	order   []string
	events  []string
}

func newWorld(t testing.TB, names ...string) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, before: func(context.Context, types.NamespacedName) error { return nil }, after: func(*v1alpha1.TokenCredential) {}}
	w.server = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.TokenCredential{}).Build()
	for _, name := range append(names, shop.Name) {
		w.create(name, types.UID("uid of "+name))
	}
	faulty := interceptor.NewClient(w.server, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, inner client.Client, _ string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if err := w.before(ctx, client.ObjectKeyFromObject(object)); err != nil {
				return err
			}
			if err := inner.Status().Patch(ctx, object, patch, options...); err != nil {
				return err
			}
			credential := object.(*v1alpha1.TokenCredential)
			w.note(func() {
				w.written, w.order = append(w.written, credential.Status.RefreshCount), append(w.order, credential.Name)
			})
			w.after(credential)
			return nil
		},
	})
	w.Lane = &Lane{Client: faulty, Live: w.server, Events: w}
	return w
}

func (w *world) note(what func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what()
}

// Record implements Events.
func (w *world) Record(_ context.Context, _ *v1alpha1.TokenCredential, event status.Event) {
	w.note(func() { w.events = append(w.events, event.Reason) })
}

func (w *world) create(name string, uid types.UID) {
	w.do(w.server.Create(context.Background(), &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: shop.Namespace, Name: name, UID: uid}}))
}

// get returns a credential as the API server has it, which is what a cache that has
// caught up shows.
func (w *world) get(name string) *v1alpha1.TokenCredential {
	credential := &v1alpha1.TokenCredential{}
	w.do(w.server.Get(context.Background(), types.NamespacedName{Namespace: shop.Namespace, Name: name}, credential))
	return credential
}

func (w *world) do(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Error(err)
	}
}

// label changes the credential, but not its status.
func (w *world) label() {
	credential := w.get(shop.Name)
	credential.Labels = map[string]string{"version": credential.ResourceVersion}
	w.do(w.server.Update(context.Background(), credential))
}

// overwrite writes the status as another process does.
func (w *world) overwrite(count int64) {
	credential := w.get(shop.Name)
	credential.Status.RefreshCount = count
	w.do(w.server.Status().Update(context.Background(), credential))
}

// update says that there were so many refreshes. On top of another's status it adds a
// hundred times as many.
func update(credential *v1alpha1.TokenCredential, count int64, events ...string) Update {
	u := Update{Credential: credential, Status: *credential.Status.DeepCopy(), Rebase: func(theirs v1alpha1.TokenCredentialStatus) v1alpha1.TokenCredentialStatus {
		theirs.RefreshCount += 100 * count
		return theirs
	}}
	u.Status.RefreshCount = count
	for _, reason := range events {
		u.Events = append(u.Events, status.Event{Reason: reason})
	}
	return u
}

// add adds an update, as a reconcile does: from the cache, by way of Current.
func (w *world) add(cached *v1alpha1.TokenCredential, count int64, events ...string) {
	w.Add(cached, update(w.Current(cached), count, events...))
}

// once calls do the first time that it is called itself.
func once(do func() error) func(context.Context, types.NamespacedName) error {
	var first sync.Once
	return func(context.Context, types.NamespacedName) (err error) {
		first.Do(func() { err = do() })
		return err
	}
}

func refusing(err error) func() error { return func() error { return err } }

var (
	credentials  = schema.GroupResource{Group: "tokenkeeper.io", Resource: "tokencredentials"}
	forbidden    = apierrors.NewForbidden(credentials, shop.Name, errors.New("no"))
	unknownField = apierrors.NewInvalid(schema.GroupKind{Group: credentials.Group, Kind: "TokenCredential"}, shop.Name, nil)
)

// TestAStatusIsWrittenWhole has etcd put back, and come as far again: the version that the cache
// shows is that of another status now.
func TestAStatusIsWrittenWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stored := w.get(shop.Name)
	stored.Status.NextRefreshTime = &metav1.Time{Time: time.Unix(1e9, 0)}
	stored.Status.LastAttempt = &v1alpha1.AttemptStatus{Reason: "ReauthorizationRequired", RefusedToken: "digest"}
	w.do(w.server.Status().Update(t.Context(), stored))
	cached := w.get(shop.Name)
	cached.Status = v1alpha1.TokenCredentialStatus{}
	next := update(cached, 1)
	next.Status.LastAttempt = &v1alpha1.AttemptStatus{Reason: "RestoredFromBackup"}
	w.Add(cached, next)
	w.do(w.Write(t.Context(), shop))
	got := w.get(shop.Name).Status
	got.LastAttempt.Time = metav1.Time{} // as null is read
	if !apiequality.Semantic.DeepEqual(got, next.Status) {
		t.Errorf("the status is %+v, last attempt %+v, want %+v\nreason: what the process never saw would stand beside what it says", got, got.LastAttempt, next.Status)
	}
}

// TestLaneWrites plays what may happen between an update and its write.
func TestLaneWrites(t *testing.T) {
	t.Parallel()
	type outcome struct {
		Written, Stored int64 // refreshes last written; refreshes that the API server knows of
		Writes          int
		Events          []string
		Unwritten       int
		Failed          bool // the last Write
	}
	for _, each := range []struct {
		name, reason string
		play         func(w *world, cached *v1alpha1.TokenCredential) error
		want         outcome
	}{
		{"one update", "its event follows the write",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.after = func(*v1alpha1.TokenCredential) {
					if len(w.events) > 0 {
						t.Error("the event was emitted before the status was written")
					}
				}
				return w.Write(t.Context(), shop)
			}, outcome{Written: 1, Stored: 1, Writes: 1, Events: []string{"a"}}},
		{"several updates before a writer comes", "the latest status is written once, with the events of all in order",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.add(cached, 2)
				w.add(cached, 3, "b", "c")
				return w.Write(t.Context(), shop)
			}, outcome{Written: 3, Stored: 3, Writes: 1, Events: []string{"a", "b", "c"}}},
		{"an event without a change of the status", "there is nothing to write, and the event is due all the same",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 0, "a")
				return w.Write(t.Context(), shop)
			}, outcome{Events: []string{"a"}}},
		{"nothing was added", "a write that was asked for twice is done once",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				return errors.Join(w.Write(t.Context(), shop), w.Write(t.Context(), shop), w.Write(t.Context(), types.NamespacedName{Name: "other"}))
			}, outcome{Written: 1, Stored: 1, Writes: 1, Events: []string{"a"}}},
		{"a label is put on the credential meanwhile", "the status is as it was thought to be: it is written on top, unchanged",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.label()
				return w.Write(t.Context(), shop)
			}, outcome{Written: 1, Stored: 1, Writes: 1, Events: []string{"a"}}},
		{"labels are put on again and again", "a write does not go on for ever: it waits for its next turn",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.before = func(context.Context, types.NamespacedName) error { w.label(); return nil }
				return w.Write(t.Context(), shop)
			}, outcome{Unwritten: 1, Failed: true}},
		{"another process writes the status meanwhile", "the update is computed anew on top of theirs",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.overwrite(7)
				return w.Write(t.Context(), shop)
			}, outcome{Written: 107, Stored: 107, Writes: 1, Events: []string{"a"}}},
		{"another process writes over two coalesced updates", "the outcome of the first is in the second's status, and not in its report: both are applied",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.add(cached, 2, "b")
				w.overwrite(7)
				return w.Write(t.Context(), shop)
			}, outcome{Written: 307, Stored: 307, Writes: 1, Events: []string{"a", "b"}}},
		{"an update comes while a write meets a conflict", "both are computed anew, in order, and written once",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.before = once(func() error { w.overwrite(7); w.add(cached, 2, "b"); return nil })
				return w.Write(t.Context(), shop)
			}, outcome{Written: 307, Stored: 307, Writes: 1, Events: []string{"a", "b"}}},
		{"an update comes between a write and its reply", "it waits for its own write, and no event comes twice",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.after = func(*v1alpha1.TokenCredential) {
					w.after = func(*v1alpha1.TokenCredential) {}
					w.add(cached, 2, "b")
				}
				return errors.Join(w.Write(t.Context(), shop), w.Write(t.Context(), shop))
			}, outcome{Written: 2, Stored: 2, Writes: 2, Events: []string{"a", "b"}}},
		{"an update that was computed from a cache behind the lane", "the lane knew better when the status was computed, and has forgotten since",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				err := w.Write(t.Context(), shop)
				current := w.Current(cached)
				w.Seen(w.get(shop.Name))
				w.Add(cached, update(current, 2, "b"))
				if known := w.Current(cached).Status.RefreshCount; known != 2 {
					t.Errorf("%d refreshes are known before the write, want 2: the next reconcile would act on an outcome again", known)
				}
				return errors.Join(err, w.Write(t.Context(), shop))
			}, outcome{Written: 2, Stored: 2, Writes: 2, Events: []string{"a", "b"}}},
		{"the credential is deleted", "there is nothing to report on",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.do(w.server.Delete(t.Context(), cached.DeepCopy()))
				err := w.Write(t.Context(), shop)
				w.create(shop.Name, "another")
				return err
			}, outcome{}},
		{"the credential is deleted and made again", "a status is not written to another credential of the same name",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.do(w.server.Delete(t.Context(), cached.DeepCopy()))
				w.create(shop.Name, "another")
				w.label() // a version that no other has had; the double starts over
				return w.Write(t.Context(), shop)
			}, outcome{}},
		{"another credential of the name comes while the status waits", "what waited was about the one before",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.do(w.server.Delete(t.Context(), cached.DeepCopy()))
				w.create(shop.Name, "another")
				w.add(w.get(shop.Name), 2, "b")
				return w.Write(t.Context(), shop)
			}, outcome{Written: 2, Stored: 2, Writes: 1, Events: []string{"b"}}},
		{"the API server forbids it", "the status is kept, and its event waits with it",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.before = once(refusing(forbidden))
				return w.Write(t.Context(), shop)
			}, outcome{Unwritten: 1, Failed: true}},
		{"the API server fails once", "the next turn writes it, and emits its event once",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.before = once(refusing(apierrors.NewInternalError(errors.New("etcd"))))
				_ = w.Write(t.Context(), shop)
				return w.Write(t.Context(), shop)
			}, outcome{Written: 1, Stored: 1, Writes: 1, Events: []string{"a"}}},
		{"an update comes while the API server cannot be reached", "it is coalesced with the one that could not be written",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.before = once(func() error { w.add(cached, 2, "b"); return errors.New("connection refused") })
				_ = w.Write(t.Context(), shop)
				return w.Write(t.Context(), shop)
			}, outcome{Written: 2, Stored: 2, Writes: 1, Events: []string{"a", "b"}}},
		{"the credential cannot be read after a conflict", "the status is kept",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.add(cached, 1, "a")
				w.label()
				w.Live = interceptor.NewClient(w.server, interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
					return forbidden
				}})
				return w.Write(t.Context(), shop)
			}, outcome{Unwritten: 1, Failed: true}},
		{"an older CRD refuses the status", "it says so, and what calls for the status is told without it, once",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.before = func(context.Context, types.NamespacedName) error { return unknownField }
				w.add(cached, 1, "a")
				err := errors.Join(w.Write(t.Context(), shop), w.Write(t.Context(), shop))
				w.add(cached, 2, "b")
				return errors.Join(err, w.Write(t.Context(), shop))
			}, outcome{Events: []string{v1alpha1.StatusRefusedEvent, "a", "b"}, Unwritten: 1, Failed: true}},
		{"an older CRD refuses the status until it is replaced", "then it is written, and nothing is told again",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.before = once(refusing(unknownField))
				w.add(cached, 1, "a")
				_ = w.Write(t.Context(), shop)
				return w.Write(t.Context(), shop)
			}, outcome{Written: 1, Stored: 1, Writes: 1, Events: []string{v1alpha1.StatusRefusedEvent, "a"}}},
		{"an older CRD is put back", "it is told of once more: it is another refusal",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				for count := range int64(2) {
					w.before = once(refusing(unknownField))
					w.add(cached, count+1, "a")
					_ = w.Write(t.Context(), shop)
					w.do(w.Write(t.Context(), shop))
				}
				return nil
			}, outcome{Written: 2, Stored: 2, Writes: 2, Events: []string{v1alpha1.StatusRefusedEvent, "a", v1alpha1.StatusRefusedEvent, "a"}}},
		{"the status is forbidden, update after update", "what waits is bounded: the latest events stay",
			func(w *world, cached *v1alpha1.TokenCredential) error {
				w.before = func(context.Context, types.NamespacedName) error { return forbidden }
				for count := range int64(3 * maxCoalesced) {
					w.add(cached, count+1, "a")
					_ = w.Write(t.Context(), shop)
				}
				w.before = once(refusing(nil))
				return w.Write(t.Context(), shop)
			}, outcome{Written: 24, Stored: 24, Writes: 1, Events: []string{"a", "a", "a", "a", "a", "a", "a", "a"}}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			err := each.play(w, w.get(shop.Name))
			got := outcome{Stored: w.get(shop.Name).Status.RefreshCount, Writes: len(w.written), Events: w.events, Unwritten: len(w.Unwritten()), Failed: err != nil}
			if len(w.written) > 0 {
				got.Written = w.written[len(w.written)-1]
			}
			if diff := cmp.Diff(each.want, got); diff != "" {
				t.Errorf("(-want +got)\n%sreason: %s", diff, each.reason)
			}
			w.Current(w.get(shop.Name))
			if held := len(w.book.entries); held != each.want.Unwritten {
				t.Errorf("the lane holds %d credentials of which %d are unwritten, although the cache has caught up", held, each.want.Unwritten)
			}
		})
	}
}

// TestCurrentIsAheadOfTheCache asks for a credential's status at each point of its
// way to the cache.
func TestCurrentIsAheadOfTheCache(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a cache that lags")
	for _, each := range []struct {
		name, reason string
		play         func(w *world, cached *v1alpha1.TokenCredential) (current *v1alpha1.TokenCredential)
		want         int64
		held         int // entries afterwards
	}{
		{"nothing was added", "the cache is all that is known",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential { return w.Current(cached) }, 0, 0},
		{"a status waits", "what has been computed is so, written or not",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 1)
				return w.Current(cached)
			}, 1, 1},
		{"a status waits, and the cache shows a change of something else", "it is still to be written",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 1)
				w.label()
				w.Seen(w.get(shop.Name))
				return w.Current(w.get(shop.Name))
			}, 1, 1},
		{"a status is being written", "a write under way hides nothing",
			func(w *world, cached *v1alpha1.TokenCredential) (current *v1alpha1.TokenCredential) {
				w.add(cached, 1)
				w.before = once(func() error { current = w.Current(cached); return nil })
				w.do(w.Write(t.Context(), shop))
				return current
			}, 1, 1},
		{"a status is written, and the cache is stale", "a stale cache must not lead to a second call",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 1)
				w.do(w.Write(t.Context(), shop))
				w.Seen(cached)
				return w.Current(cached)
			}, 1, 1},
		{"a status could not be written", "the refresh took place all the same",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 1)
				w.before = once(refusing(forbidden))
				_ = w.Write(t.Context(), shop)
				w.label()
				return w.Current(w.get(shop.Name))
			}, 1, 1},
		{"the cache shows what was written", "the cache is right again, and nothing is held",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 1)
				w.do(w.Write(t.Context(), shop))
				w.Seen(w.get(shop.Name))
				return w.Current(w.get(shop.Name))
			}, 1, 0},
		{"the cache shows something later", "another process may have changed it since",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 1)
				w.do(w.Write(t.Context(), shop))
				w.overwrite(5)
				return w.Current(w.get(shop.Name))
			}, 5, 0},
		{"the cache is faster than the reply to the write", "no other change of the credential comes to make the lane forget",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 1)
				w.after = func(written *v1alpha1.TokenCredential) { w.Seen(written) }
				w.do(w.Write(t.Context(), shop))
				return w.get(shop.Name)
			}, 1, 0},
		{"nothing had to be written", "no change of the credential comes to make the lane forget",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 0, "a")
				w.do(w.Write(t.Context(), shop))
				return cached
			}, 0, 0},
		{"another credential of that name is in the cache", "what is known is about the one before",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 1)
				another := cached.DeepCopy()
				another.UID = "another"
				return w.Current(another)
			}, 0, 0},
		{"the credential is gone", "nothing is held of it",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 1)
				w.Forget(shop)
				return w.Current(cached)
			}, 0, 0},
		{"versions that cannot be compared", "without an order the cache is believed",
			func(w *world, cached *v1alpha1.TokenCredential) *v1alpha1.TokenCredential {
				w.add(cached, 1)
				w.do(w.Write(t.Context(), shop))
				strange := cached.DeepCopy()
				strange.ResourceVersion = "x-1"
				return w.Current(strange)
			}, 0, 0},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			cached := w.get(shop.Name)
			untouched := cached.DeepCopy()
			current := each.play(w, cached)
			if got := current.Status.RefreshCount; got != each.want {
				t.Errorf("Current gives %d refreshes, want %d\nreason: %s", got, each.want, each.reason)
			}
			if len(w.book.entries) != each.held {
				t.Errorf("the lane holds %d entries, want %d\nreason: %s", len(w.book.entries), each.held, each.reason)
			}
			if diff := cmp.Diff(untouched, cached); diff != "" {
				t.Errorf("what is in the cache was changed (-before +after)\n%s", diff)
			}
		})
	}
}

// TestWhatCameInWhileAStatusWasComputed says that a status which was computed before
// another process's came in is computed anew.
func TestWhatCameInWhileAStatusWasComputed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cached := w.get(shop.Name)
	w.add(cached, 1)
	before := w.Current(cached) // a reconcile begins
	w.overwrite(5)
	w.do(w.Write(t.Context(), shop)) // on top of theirs: 5 + 100
	w.Add(cached, update(before, 2)) // the reconcile ends
	w.do(w.Write(t.Context(), shop))
	if got, want := w.get(shop.Name).Status.RefreshCount, int64(305); got != want {
		t.Errorf("the status counts %d, want %d: what the reconcile found, on top of what has come in", got, want)
	}
}

// TestWhoseStatusIsOnTopOfAnothersIsLookedAtAgain: the next look was planned for the status
// that was computed, such as one whose token has expired.
func TestWhoseStatusIsOnTopOfAnothersIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		play         func(w *world, cached *v1alpha1.TokenCredential)
		want         int // times
	}{
		{"nobody else has written", "it is as planned", func(w *world, cached *v1alpha1.TokenCredential) { w.add(cached, 1) }, 0},
		{"something else was changed", "the status is as planned", func(w *world, cached *v1alpha1.TokenCredential) {
			w.add(cached, 1)
			w.label()
		}, 0},
		{"another process has written the status", "theirs may be of another token", func(w *world, cached *v1alpha1.TokenCredential) {
			w.add(cached, 1)
			w.overwrite(5)
		}, 1},
		{"theirs came in while one was computed", "it was computed without that", func(w *world, cached *v1alpha1.TokenCredential) {
			w.add(cached, 1)
			before := w.Current(cached)
			w.overwrite(5)
			w.do(w.Write(t.Context(), shop))
			w.Add(cached, update(before, 2))
		}, 2},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w, woken := newWorld(t), 0
			w.Wake = func(types.NamespacedName) { woken++ }
			each.play(w, w.get(shop.Name))
			w.do(w.Write(t.Context(), shop))
			if woken != each.want {
				t.Errorf("it is looked at again %d times, want %d\nreason: %s", woken, each.want, each.reason)
			}
		})
	}
}

// told notes what the lane says of written statuses.
type told struct{ all []string }

// Wrote implements Statuses.
func (s *told) Wrote(before *v1alpha1.TokenCredentialStatus, written *v1alpha1.TokenCredential) {
	s.all = append(s.all, fmt.Sprintf("%s at %s: %d to %d", written.Name, written.Spec.ProviderRef.Name, before.RefreshCount, written.Status.RefreshCount))
}

// TestWhatWasWrittenIsSaid looks at what follows a written status, also where the API server
// has it and its reply was lost: then the change is said at the next try.
func TestWhatWasWrittenIsSaid(t *testing.T) {
	t.Parallel()
	w, said := newWorld(t), &told{}
	w.Statuses = said
	add := func(count int64) {
		cached := w.get(shop.Name)
		cached.Spec.ProviderRef.Name = "xiaomi"
		w.add(cached, count)
	}
	add(1)
	w.do(w.Write(t.Context(), shop))
	add(2)
	w.before = once(func() error {
		w.overwrite(2)
		return errors.New("the connection is lost")
	})
	if err := w.Write(t.Context(), shop); err == nil {
		t.Fatal("the write seems to have gone well")
	}
	w.do(w.Write(t.Context(), shop))
	// On top of what it finds the second try adds 200 (see update).
	want := []string{"shop at xiaomi: 0 to 1", "shop at xiaomi: 1 to 202"}
	if diff := cmp.Diff(want, said.all); diff != "" {
		t.Errorf("what was said (-want +got):\n%s", diff)
	}
}
