// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const (
	// askEvery is how often the demo asks for a refresh of a token that would
	// otherwise live too long to watch.
	askEvery = 10 * time.Second
	// tooLong to watch.
	tooLong = 2 * time.Minute
)

// askForRefreshes asks for a refresh of each sample whose token lives too long
// to watch, as a user would: by the annotation tokenkeeper.io/refreshAt.
func (b *board) askForRefreshes(ctx context.Context, now time.Time) error {
	for _, r := range b.ordered() {
		if !slices.Contains(b.samples, r.credential.Name) || !r.due(now) {
			continue
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"annotations": map[string]string{v1alpha1.RefreshAtAnnotation: now.UTC().Format(time.RFC3339)},
		}})
		if err != nil {
			return err
		}
		asked := r.credential.DeepCopy()
		err = b.client.Patch(ctx, asked, client.RawPatch(types.MergePatchType, patch))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("ask for a refresh of %s: %w", r.credential.Name, err)
		}
		r.asked = now
	}
	return nil
}

// due tells whether it is time to ask for a refresh.
func (r *row) due(now time.Time) bool {
	status := r.credential.Status
	if status.ExpirationTime == nil || status.LastRefreshTime == nil || r.credential.RefreshRequested() {
		return false
	}
	return status.ExpirationTime.Sub(status.LastRefreshTime.Time) > tooLong &&
		now.Sub(status.LastRefreshTime.Time) >= askEvery && now.Sub(r.asked) >= askEvery
}
