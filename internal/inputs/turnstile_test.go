// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"errors"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// TestANamespaceReadsAFewSecretsAtOnce is the attack: hundreds of credentials name Secrets
// of a MiB each, and all workers would read one at the same time.
func TestANamespaceReadsAFewSecretsAtOnce(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "Secrets of 1 MiB read by all workers at once")
	reads, ended := &turnstile{}, func() context.Context {
		ctx, end := context.WithCancel(t.Context())
		end()
		return ctx
	}()
	var leave []func()
	for range readsAtOnce {
		done, err := reads.enter(t.Context(), "flood")
		if err != nil {
			t.Fatalf("as many as may be read find no slot: %v", err)
		}
		leave = append(leave, done)
	}
	if _, err := reads.enter(ended, "flood"); !errors.Is(err, context.Canceled) {
		t.Errorf("one more got a slot, or %v, want it to wait until its context ends", err)
	}
	other, err := reads.enter(t.Context(), "shop")
	if err != nil {
		t.Fatalf("another namespace waits: %v", err)
	}
	other()
	leave[0]()
	again, err := reads.enter(t.Context(), "flood")
	if err != nil {
		t.Fatalf("a slot that was given back is gone: %v", err)
	}
	for _, done := range append(leave[1:], again) {
		done()
	}
	if len(reads.namespaces) > 0 {
		t.Errorf("%v are kept of namespaces that read nothing", reads.namespaces)
	}
}
