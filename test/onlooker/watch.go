// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package onlooker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Watcher shows an onlooker all that happens in a cluster: every version of every
// object of every kind that one may list, with Secrets' values as what is to be hidden
// and their metadata as what is seen.
type Watcher struct {
	onlooker *Onlooker
	exempt   func(namespace string) bool
	client   dynamic.Interface
	kinds    []schema.GroupVersionResource
	end      context.CancelFunc
	running  sync.WaitGroup

	mu  sync.Mutex
	err error
}

// Watch begins to watch all kinds that the API server serves, but not namespaces that
// are exempt, until Finish.
func (o *Onlooker) Watch(ctx context.Context, config *rest.Config, exempt func(namespace string) bool) (*Watcher, error) {
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NoWarnings{} // of kinds that are outdated
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	kinds, err := kindsOf(config)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	w := &Watcher{onlooker: o, exempt: exempt, client: client, kinds: kinds, end: end}
	for _, kind := range kinds {
		w.running.Go(func() { w.follow(ctx, kind) })
	}
	return w, nil
}

// kindsOf finds what can be watched.
func kindsOf(config *rest.Config) ([]schema.GroupVersionResource, error) {
	finder, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	lists, err := finder.ServerPreferredResources()
	if err != nil {
		return nil, err
	}
	var kinds []schema.GroupVersionResource
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, resource := range list.APIResources {
			if slices.Contains(resource.Verbs, "watch") && !strings.Contains(resource.Name, "/") {
				kinds = append(kinds, version.WithResource(resource.Name))
			}
		}
	}
	return kinds, nil
}

// follow sees every version of a kind's objects, from now on.
func (w *Watcher) follow(ctx context.Context, kind schema.GroupVersionResource) {
	list, err := w.client.Resource(kind).List(ctx, metav1.ListOptions{})
	if err != nil {
		w.fail(ctx, kind, err)
		return
	}
	for i := range list.Items {
		w.see(kind, &list.Items[i])
	}
	version := list.GetResourceVersion()
	for ctx.Err() == nil {
		events, err := w.client.Resource(kind).Watch(ctx, metav1.ListOptions{ResourceVersion: version})
		if err != nil {
			w.fail(ctx, kind, err)
			return
		}
		for event := range events.ResultChan() {
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok || object.GetResourceVersion() == "" {
				w.fail(ctx, kind, fmt.Errorf("the watch broke off: %v", event.Object))
				return
			}
			version = object.GetResourceVersion()
			w.see(kind, object)
		}
	}
}

func (w *Watcher) fail(ctx context.Context, kind schema.GroupVersionResource, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() == nil {
		w.err = errors.Join(w.err, fmt.Errorf("watch %s: %w", kind.Resource, err))
	}
}

// see takes one version of an object.
func (w *Watcher) see(kind schema.GroupVersionResource, object *unstructured.Unstructured) {
	if w.exempt(object.GetNamespace()) {
		return
	}
	place := fmt.Sprintf("%s %s/%s", kind.Resource, object.GetNamespace(), object.GetName())
	if kind.Resource == "secrets" {
		w.hide(place, object)
		delete(object.Object, "data")
	}
	text, err := json.Marshal(object.Object)
	if err != nil { // what came as JSON encodes as JSON
		w.fail(context.Background(), kind, err)
	}
	w.onlooker.See(place, string(text))
}

// hide takes what a Secret holds.
func (w *Watcher) hide(place string, object *unstructured.Unstructured) {
	secret := &corev1.Secret{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, secret); err != nil {
		w.fail(context.Background(), corev1.SchemeGroupVersion.WithResource("secrets"), err)
		return
	}
	for key, value := range secret.Data {
		if key == "unfinished" {
			value = tokenIn(value)
		}
		if !isHarmless(key, string(value)) {
			w.onlooker.Hide(place+" "+key, string(value))
		}
	}
	if len(secret.Data) > 0 {
		together, _ := json.Marshal(secret.Data)
		w.onlooker.HideWhole(place+" as a whole", string(together))
	}
}

// tokenIn is the access token in a value that holds one beside times and origins, which
// stand elsewhere too.
func tokenIn(value []byte) []byte {
	var fields struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(value, &fields) != nil {
		return value
	}
	return []byte(fields.AccessToken)
}

// harmless are keys whose values tell nothing, by name: some stand in the status, too, and
// the digests among them are compared with those of the tokens.
var harmless = []string{
	"token_type", "scope", "mac_algorithm", "issued_at", "expires_at", "refresh_token_expires_at", "sequence", "identity", "attempt", "source", "spent", "origin", "proven",
}

// isHarmless goes for what has three characters at most, too: tests have many such values,
// and no secret has so few.
func isHarmless(key, value string) bool { return slices.Contains(harmless, key) || len(value) < 4 }

// Finish ends the watches, and looks at everything once more.
func (w *Watcher) Finish(ctx context.Context) error {
	w.end()
	w.running.Wait()
	for _, kind := range w.kinds {
		list, err := w.client.Resource(kind).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("list %s: %w", kind.Resource, err)
		}
		for i := range list.Items {
			w.see(kind, &list.Items[i])
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
