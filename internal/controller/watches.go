// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller/referrers"
	"github.com/tokenkeeper/tokenkeeper/internal/delivery"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/budget"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/report"
)

// queue is the controller's.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// watcher queues a credential when something has happened that it may depend on: to its
// own spec or an annotation, to a Secret that it reads or writes, to its provider, or when
// there is a slot at its provider's host.
type watcher struct {
	credentials client.Reader // from the cache, and their providers
	secrets     *inputs.Secrets
	reports     *report.Lane
	hosts       *pace.Hosts
	edits       *budget.Edits
	clock       clock.PassiveClock
	referrers   *referrers.Index
	remover     *delivery.Remover
	waker       *waker
	readsLabels bool // of namespaces, by which a provider chooses who may use it
}

// newWatcher makes the watcher of a reconciler's credentials.
func newWatcher(r *Reconciler, waker *waker) *watcher {
	return &watcher{
		credentials: r.Client,
		secrets:     r.Inputs.Secrets,
		reports:     r.Reports,
		hosts:       r.Hosts,
		edits:       &r.ahead.edits,
		clock:       r.Clock,
		referrers:   r.referrers,
		remover:     r.remover,
		waker:       waker,
	}
}

// byProvider is the cache's index of credentials by the ClusterTokenProvider they use.
const byProvider = "provider"

// setUp adds a controller of credentials to a manager.
func (w *watcher) setUp(ctx context.Context, mgr ctrl.Manager, reconciler reconcile.Reconciler, options controller.Options) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.TokenCredential{}, byProvider, providerOf); err != nil {
		return err
	}
	wiring := ctrl.NewControllerManagedBy(mgr).
		Named("tokencredential").
		Watches(&v1alpha1.TokenCredential{}, w.credentialEvents()).
		WatchesRawSource(w.waker.source()).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(w.usersOfSecret)).
		Watches(&v1alpha1.ClusterTokenProvider{}, handler.EnqueueRequestsFromMapFunc(w.usersOfProvider),
			builder.WithPredicates(predicate.GenerationChangedPredicate{}))
	if w.readsLabels {
		wiring = wiring.WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(w.usersInNamespace),
			builder.WithPredicates(predicate.LabelChangedPredicate{}))
	}
	return wiring.WithOptions(options).Complete(reconciler)
}

func providerOf(object client.Object) []string {
	ref := object.(*v1alpha1.TokenCredential).Spec.ProviderRef
	if ref.Kind != v1alpha1.ClusterProvider {
		return nil
	}
	return []string{ref.Name}
}

// credentialEvents queue a credential when it comes, and when its spec or an
// annotation changes; what it refers to is known before. Every change ends the time
// for which a status that was written is remembered beside the cache.
func (w *watcher) credentialEvents() handler.EventHandler {
	add := func(queue queue, credential *v1alpha1.TokenCredential) {
		queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(credential)})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, created event.CreateEvent, queue queue) {
			credential := created.Object.(*v1alpha1.TokenCredential)
			w.referrers.Update(nil, credential)
			add(queue, credential)
		},
		UpdateFunc: func(_ context.Context, updated event.UpdateEvent, queue queue) {
			before, after := updated.ObjectOld.(*v1alpha1.TokenCredential), updated.ObjectNew.(*v1alpha1.TokenCredential)
			w.refer(before, after)
			if before.UID != after.UID {
				w.remover.Gone(before)
			}
			w.reports.Seen(after)
			if before.ResourceVersion == after.ResourceVersion || // a resync
				before.UID != after.UID || // made again, and the deletion was missed
				before.Generation != after.Generation || !maps.Equal(before.Annotations, after.Annotations) {
				add(queue, after)
			}
		},
		DeleteFunc: func(_ context.Context, deleted event.DeleteEvent, queue queue) {
			credential := deleted.Object.(*v1alpha1.TokenCredential)
			w.refer(credential, nil)
			w.remover.Gone(credential)
			add(queue, credential)
			for _, rival := range w.referrers.Sharing(credential) { // one that gave way goes on
				queue.Add(reconcile.Request{NamespacedName: rival})
			}
		},
	}
}

// refer notes which Secrets a credential names now, and forgets the values of those
// that none names any more.
func (w *watcher) refer(before, after *v1alpha1.TokenCredential) {
	w.referrers.Update(before, after)
	named := referrers.SecretsOf(after)
	for _, secret := range referrers.SecretsOf(before) {
		if !slices.Contains(named, secret) && len(w.referrers.Of(secret)) == 0 {
			w.secrets.Forget(secret)
		}
	}
}

// usersOfSecret are the credentials that read or write a Secret: those that name it,
// that of its own name, whose target it may be, the one whose state it is, and one that is
// gone and owned it.
func (w *watcher) usersOfSecret(ctx context.Context, object client.Object) []reconcile.Request {
	var users []reconcile.Request
	for _, credential := range w.referrers.Of(client.ObjectKeyFromObject(object)) {
		users = append(users, reconcile.Request{NamespacedName: credential})
	}
	if owner := (types.NamespacedName{Namespace: object.GetNamespace(), Name: delivery.OwnerOf(object)}); w.remover.WasRemoved(owner) {
		users = append(users, reconcile.Request{NamespacedName: owner})
	}
	users = w.withUser(ctx, users, object, object.GetName())
	name, isState := strings.CutSuffix(object.GetName(), v1alpha1.StateSecretSuffix)
	if isState {
		users = w.withUser(ctx, users, object, name)
	}
	return users
}

// withUser adds the credential of a name, if a Secret is its target or its state.
func (w *watcher) withUser(ctx context.Context, users []reconcile.Request, object client.Object, name string) []reconcile.Request {
	credential := &v1alpha1.TokenCredential{}
	key := types.NamespacedName{Namespace: object.GetNamespace(), Name: name}
	if err := w.credentials.Get(ctx, key, credential, client.UnsafeDisableDeepCopy); err != nil {
		return users // Only one that does not exist fails here.
	}
	if object.GetName() != credential.TargetName() && object.GetName() != credential.StateSecretName() {
		return users
	}
	return append(users, reconcile.Request{NamespacedName: key})
}

func (w *watcher) usersOfProvider(ctx context.Context, object client.Object) []reconcile.Request {
	return w.using(ctx, object.GetName(), "")
}

// usersInNamespace are a namespace's credentials whose provider chooses by the labels
// of namespaces who may use it.
func (w *watcher) usersInNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	var providers v1alpha1.ClusterTokenProviderList
	if err := w.credentials.List(ctx, &providers, client.UnsafeDisableDeepCopy); err != nil {
		return nil // Only a cache that is ending fails here.
	}
	var users []reconcile.Request
	for i := range providers.Items {
		if chosen := providers.Items[i].Spec.Namespaces; chosen != nil && chosen.Selector != nil {
			users = append(users, w.using(ctx, providers.Items[i].Name, namespace.GetName())...)
		}
	}
	return users
}

// using are the credentials of a namespace (of all, where it is empty) that use a
// ClusterTokenProvider.
func (w *watcher) using(ctx context.Context, provider, namespace string) []reconcile.Request {
	var credentials v1alpha1.TokenCredentialList
	if err := w.credentials.List(ctx, &credentials, client.InNamespace(namespace), client.MatchingFields{byProvider: provider}, client.UnsafeDisableDeepCopy); err != nil {
		return nil // Only an index that does not exist fails here.
	}
	requests := make([]reconcile.Request, 0, len(credentials.Items))
	for i := range credentials.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&credentials.Items[i])})
	}
	return requests
}

// waiter says where a credential stands in the queue: by the cache, and by what this
// process has yet to report.
func (w *watcher) waiter(request reconcile.Request) pace.Waiter {
	if w.hosts.Admitted(request.NamespacedName) { // its slot is not kept for long
		return pace.Waiter{Who: request.NamespacedName, Class: pace.Renewal}
	}
	credential := &v1alpha1.TokenCredential{}
	if err := w.credentials.Get(context.Background(), request.NamespacedName, credential, client.UnsafeDisableDeepCopy); err != nil {
		return pace.Waiter{Who: request.NamespacedName, Class: pace.New} // it is gone: what it owned is removed
	}
	return call.Waiter(w.reports.Current(credential), w.clock.Now())
}

// passSlotsOn gives slots at hosts that a woken credential did not come for to the next
// one, and forgets what edits have cost, also while no call is made.
func (w *watcher) passSlotsOn(ctx context.Context) error {
	wait.UntilWithContext(ctx, func(context.Context) {
		w.hosts.Tick(w.clock.Now())
		w.edits.Tick(w.clock.Now())
	}, time.Second/4) // a call that lasts for a second gives its slot up no later than that
	return nil
}

// waker queues a credential for which nothing has happened in the cluster: there is a
// slot at its provider's host, or its state is saved at last.
type waker struct{ queue atomic.Pointer[queue] }

// source has no events of its own: it keeps the queue.
func (w *waker) source() source.Source {
	return source.Func(func(_ context.Context, queue queue) error {
		w.queue.Store(&queue)
		return nil
	})
}

// queued is how many credentials wait for a worker.
func (w *waker) queued() int {
	if queue := w.queue.Load(); queue != nil {
		return (*queue).Len()
	}
	return 0
}

func (w *waker) wake(credential types.NamespacedName) {
	if queue := w.queue.Load(); queue != nil {
		(*queue).Add(reconcile.Request{NamespacedName: credential})
	}
}
