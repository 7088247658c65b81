// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/onlooker"
)

// TestTheBystanderFindsWhatIsPlanted shows a secret in each of the places that the
// bystander of all tests looks at.
func TestTheBystanderFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	planted.Store(w.namespace, true)
	own := &onlooker.Onlooker{}
	watcher, err := begin(context.Background(), own, func(namespace string) bool { return namespace != w.namespace })
	must(t, err)

	const hidden = "planted-to-be-found"
	sum := sha256.Sum256([]byte(hidden))
	plain := hex.EncodeToString(sum[:])
	system := &corev1.Namespace{}
	must(t, w.Get(t.Context(), client.ObjectKey{Name: metav1.NamespaceSystem}, system))
	known := hmac.New(sha256.New, []byte(system.UID))
	known.Write([]byte(plain[:32]))
	meta := metav1.ObjectMeta{Namespace: w.namespace, Name: "planted"}
	marked := meta
	marked.Labels = map[string]string{"live": hex.EncodeToString(known.Sum(nil)[:16])}
	described := meta
	described.Annotations = map[string]string{"mark": "digest=" + plain[:16]}
	for _, object := range []client.Object{
		&corev1.Secret{ObjectMeta: marked, Data: map[string][]byte{"password": []byte(hidden)}},
		&corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"message": base64.StdEncoding.EncodeToString([]byte("key:" + hidden))}},
		&eventsv1.Event{ObjectMeta: meta, Regarding: corev1.ObjectReference{Namespace: w.namespace}, Note: "it was " + hidden, Action: "Test", Reason: "Test", Type: "Normal", EventTime: metav1.NowMicro(), ReportingController: "test", ReportingInstance: "test"},
		&v1alpha1.TokenCredential{ObjectMeta: described, Spec: v1alpha1.TokenCredentialSpec{ProviderRef: v1alpha1.ProviderReference{Name: "oauth2"}}},
	} {
		must(t, w.Create(t.Context(), object))
	}
	w.journal.line(`{"msg":"it was ` + hidden + `"}`)
	w.metrics = prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "planted", ConstLabels: prometheus.Labels{"seed": plain[:12]}})
	must(t, w.metrics.Register(counter))
	w.showTo(own)
	must(t, watcher.Finish(t.Context()))

	places := map[string]bool{}
	for _, leak := range own.Leaks() {
		kind, _, _ := strings.Cut(leak.Place, " "+w.namespace)
		places[strings.TrimSuffix(kind, " of "+t.Name())] = true
	}
	want := []string{"configmaps", "events", "secrets", "the log", "the metrics", "tokencredentials"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(places))); diff != "" {
		t.Errorf("a secret is planted in each of these places (-want +got):\n%s", diff)
	}
}
