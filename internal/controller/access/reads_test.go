// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/internal/turnstile"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// TestANamespaceReadsAFewSecretsAtOnce is the attack: hundreds of credentials name Secrets
// of a MiB each, have states of a MiB or merge into targets of a MiB, and all workers would
// read one at the same time.
func TestANamespaceReadsAFewSecretsAtOnce(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "Secrets of 1 MiB read by all workers at once")
	secret := func(namespace string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "large"}}
	}
	cluster := fake.NewClientBuilder().WithObjects(secret("flood"), secret("shop")).Build()
	reads := turnstile.New(readsAtOnce)
	for range readsAtOnce { // as many as there may be are under way
		if _, err := reads.Enter(t.Context(), "flood"); err != nil {
			t.Fatal(err)
		}
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"data":{}}`))
	ended, end := context.WithCancel(t.Context())
	end()
	for name, read := range map[string]func(namespace string) error{
		"an input": func(namespace string) error {
			return boundedReader{cluster, reads}.Get(ended, client.ObjectKeyFromObject(secret(namespace)), secret(namespace))
		},
		"a state or a target": func(namespace string) error {
			return boundedClient{cluster, reads}.Get(ended, client.ObjectKeyFromObject(secret(namespace)), secret(namespace))
		},
		"a merged target, which is answered whole": func(namespace string) error {
			return boundedClient{cluster, reads}.Patch(ended, secret(namespace), patch)
		},
		"... also in a dry run": func(namespace string) error {
			return client.NewDryRunClient(boundedClient{cluster, reads}).Patch(ended, secret(namespace), patch)
		},
	} {
		if err := read("flood"); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want a wait for a slot until the context ends", name, err)
		}
		if err := read("shop"); err != nil {
			t.Errorf("%s: another namespace waits: %v", name, err)
		}
	}
	metadata := SecretMetadata()
	if err := (boundedReader{cluster, reads}).Get(ended, client.ObjectKeyFromObject(secret("flood")), metadata); err != nil {
		t.Errorf("metadata waits for a slot, and takes next to nothing: %v", err)
	}
}
