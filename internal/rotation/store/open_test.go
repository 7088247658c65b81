// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
)

func TestAnOpenAttemptShowsInTheMetadata(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	record := saved(t, storeOf(api), shop, holding("G"))
	if _, open := marks.OpenAttempt(api.Secret(t, shop)); open {
		t.Error("nothing is claimed")
	}
	api.Must(t, storeOf(api).Save(t.Context(), record, record.State.Claim(rotation.Attempt{ID: "1", Started: noon.Add(time.Millisecond)})))
	if started, open := marks.OpenAttempt(api.Secret(t, shop)); !open || !started.Equal(noon) {
		t.Errorf("open %t, started %s, want %s", open, started, noon)
	}
	api.Must(t, storeOf(api).Save(t.Context(), record, record.State.Withdraw("1", nil)))
	if _, open := marks.OpenAttempt(api.Secret(t, shop)); open {
		t.Error("the claim was withdrawn")
	}
}
