// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package turnstile

import (
	"context"
	"errors"
	"testing"
)

func TestAFewOfANamespacePassAtOnce(t *testing.T) {
	t.Parallel()
	const slots = 8
	turnstile, ended := New(slots), func() context.Context {
		ctx, end := context.WithCancel(t.Context())
		end()
		return ctx
	}()
	var leave []func()
	for range slots {
		done, err := turnstile.Enter(t.Context(), "flood")
		if err != nil {
			t.Fatalf("as many as may pass find no slot: %v", err)
		}
		leave = append(leave, done)
	}
	if _, err := turnstile.Enter(ended, "flood"); !errors.Is(err, context.Canceled) {
		t.Errorf("one more got a slot, or %v, want it to wait until its context ends", err)
	}
	other, err := turnstile.Enter(t.Context(), "shop")
	if err != nil {
		t.Fatalf("another namespace waits: %v", err)
	}
	other()
	leave[0]()
	again, err := turnstile.Enter(t.Context(), "flood")
	if err != nil {
		t.Fatalf("a slot that was given back is gone: %v", err)
	}
	for _, done := range append(leave[1:], again) {
		done()
	}
	if len(turnstile.namespaces) > 0 {
		t.Errorf("%v are kept of namespaces of which nobody is there", turnstile.namespaces)
	}
}
