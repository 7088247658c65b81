// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// board is what is known of the credentials. It keeps no token, only digests of
// refresh tokens, to tell when one was rotated.
type board struct {
	client  client.Client
	samples []string // names, in the order in which they were applied
	rows    map[string]*row
}

// row is one credential.
type row struct {
	credential *v1alpha1.TokenCredential
	refreshed  time.Time // when it was seen to be
	asked      time.Time // when the demo asked for a refresh
	kept       string    // digest of the refresh token that is kept; "": none is known
	rotations  int       // how often it was seen to change
}

func newBoard(c client.Client, samples []string) *board {
	return &board{client: c, samples: samples, rows: map[string]*row{}}
}

// ordered are the rows: the samples, then what the user has added.
func (b *board) ordered() []*row {
	names := slices.Clone(b.samples)
	for name := range b.rows {
		if !slices.Contains(b.samples, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names[len(b.samples):])
	var rows []*row
	for _, name := range names {
		if r := b.rows[name]; r != nil {
			rows = append(rows, r)
		}
	}
	return rows
}

// see takes a change in, and returns a line for each thing worth telling.
func (b *board) see(ctx context.Context, seen change, now time.Time) []string {
	switch {
	case seen.event != nil:
		return tellEvent(seen.event)
	case seen.gone != nil:
		delete(b.rows, seen.gone.Name)
		return []string{seen.gone.Name + ": deleted"}
	}
	r := b.rows[seen.credential.Name]
	if r == nil {
		r = &row{credential: &v1alpha1.TokenCredential{}, kept: b.seed(ctx, seen.credential)}
		b.rows[seen.credential.Name] = r
	}
	before := r.credential
	r.credential = seen.credential
	var lines []string
	if seen.credential.Status.RefreshCount > before.Status.RefreshCount {
		lines = append(lines, tellRefresh(seen.credential, b.rotated(ctx, r), r.rotations))
		r.refreshed = now
	}
	return append(lines, tellTrouble(before, seen.credential)...)
}

// rotated looks which refresh token is kept now, and tells whether it is another
// one. The operator saves it before it says that it has refreshed.
func (b *board) rotated(ctx context.Context, r *row) bool {
	before := r.kept
	r.kept = b.digest(ctx, r.credential.StateSecretName(), "refresh_token")
	if before == "" || r.kept == "" || before == r.kept {
		return false
	}
	r.rotations++
	return true
}

// seed is the digest of the refresh token that the user gave.
func (b *board) seed(ctx context.Context, credential *v1alpha1.TokenCredential) string {
	reference := credential.Spec.RefreshTokenSecretRef
	if reference == nil {
		return ""
	}
	return b.digest(ctx, string(reference.Name), string(reference.Key))
}

// digest of what a Secret holds under a key; "" where there is nothing.
func (b *board) digest(ctx context.Context, name, key string) string {
	value := strings.TrimSpace(string(b.secret(ctx, name)[key]))
	if value == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(value))
	return string(sum[:])
}

// secret is the data of a Secret; nil where it cannot be read.
func (b *board) secret(ctx context.Context, name string) map[string][]byte {
	found := &corev1.Secret{}
	if err := b.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, found); err != nil {
		return nil
	}
	return found.Data
}

// stalled names the credentials that need a person.
func (b *board) stalled() string {
	var names []string
	for _, r := range b.ordered() {
		if stalled := condition(r.credential, v1alpha1.StalledCondition); stalled.Status == metav1.ConditionTrue {
			names = append(names, r.credential.Name+" "+stalled.Reason)
		}
	}
	return strings.Join(names, ", ")
}
