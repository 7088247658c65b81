// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// observer sees what a pod and a person would: every target and, where asked, every
// status, as they change. It knows nothing of the operator but what these say. A
// token counts once it is in its target; the status may follow seconds later.
//
// A target has the name of its credential, so one name stands for both.
type observer struct {
	end context.CancelFunc

	mu       sync.Mutex
	targets  map[types.NamespacedName]seenTarget
	statuses map[types.NamespacedName]seenStatus
	// published tokens since the start, first ones included.
	published int
	lastFirst time.Time // when the newest target appeared
	// replacements of a token by another one, since the last forget.
	replacements []replacement
	failedCount  int // credentials of which an attempt has failed
	agreement    agreement
	failure      error
}

// seenTarget is the token that a target holds.
type seenTarget struct {
	first   time.Time // when the target appeared
	since   time.Time // when it got this token
	expires time.Time
	token   uint64 // hash of the access token
	tokens  int    // that it has held
}

// seenStatus is what a status says.
type seenStatus struct {
	ready, refreshed bool
	failed           bool // ever
	changes          int
	// plan of the newest token that a status has told of, and of the one before. A
	// status that never came leaves its token without a plan.
	plan, was plan
}

// plan is when a token is to be renewed. The token is known by its expiry.
type plan struct{ expires, due time.Time }

// replacement is one token that took another's place in a target.
type replacement struct {
	at      time.Time
	age     time.Duration // of the old one, as far as the observer saw it come
	expires time.Time     // of the old one
	due     time.Time     // by the status; zero: no status told of the old one
}

// expired tells for how long the target held a token that had expired.
func (r replacement) expired() time.Duration { return r.at.Sub(r.expires) }

// observe watches the targets of all namespaces from now on and, where asked, the
// statuses. To decode a status costs the harness ten times what a target does, so
// what is judged by targets alone goes without. Options narrow down both watches.
func (l *lab) observe(ctx context.Context, statuses bool, options ...client.ListOption) (*observer, error) {
	ctx, end := context.WithCancel(ctx)
	o := newObserver()
	o.end = end
	err := follow(ctx, l, o, &corev1.SecretList{}, o.sawSecret, append(slices.Clone(options),
		client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
		client.MatchingFields{"type": string(corev1.SecretTypeOpaque)})...)
	if err == nil && statuses {
		err = follow(ctx, l, o, &v1alpha1.TokenCredentialList{}, o.sawCredential, options...)
	}
	if err != nil {
		end()
		return nil, err
	}
	l.observer = o
	return o, nil
}

func newObserver() *observer {
	return &observer{
		targets:   map[types.NamespacedName]seenTarget{},
		statuses:  map[types.NamespacedName]seenStatus{},
		agreement: newAgreement(),
	}
}

// follow hands over each object as it changes, until the context ends.
func follow(ctx context.Context, l *lab, o *observer, list client.ObjectList, saw func(client.Object, time.Time), options ...client.ListOption) error {
	if err := l.List(ctx, list, append(slices.Clone(options), client.Limit(1))...); err != nil {
		return err
	}
	// It goes on where it was when the API server ends a watch, as one does that
	// has other things to do.
	stream, err := watchtools.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), watcher(func(ctx context.Context, from metav1.ListOptions) (watch.Interface, error) {
		return l.Watch(ctx, list, append(slices.Clone(options), &client.ListOptions{Raw: &from})...)
	}))
	if err != nil {
		return err
	}
	go func() {
		defer stream.Stop()
		for event := range stream.ResultChan() {
			object, ok := event.Object.(client.Object)
			if event.Type == watch.Error || !ok {
				o.fail(fmt.Errorf("the watch failed: %v", event.Object))
				return
			}
			if event.Type != watch.Deleted {
				saw(object, time.Now())
			}
		}
		if ctx.Err() == nil {
			o.fail(errors.New("the API server has ended a watch"))
		}
	}()
	return nil
}

// watcher is a function as client-go wants it.
type watcher func(context.Context, metav1.ListOptions) (watch.Interface, error)

// WatchWithContext implements cache.WatcherWithContext.
func (w watcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return w(ctx, options)
}

func (o *observer) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failure = errors.Join(o.failure, err)
}

func (o *observer) sawCredential(object client.Object, now time.Time) {
	credential, ok := object.(*v1alpha1.TokenCredential)
	if !ok {
		return
	}
	name, status := client.ObjectKeyFromObject(credential), &credential.Status
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.statuses[name]
	seen.changes++
	seen.ready = meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ReadyCondition)
	seen.refreshed = meta.IsStatusConditionTrue(status.Conditions, v1alpha1.RefreshedCondition)
	if status.FailedAttempts > 0 && !seen.failed {
		seen.failed = true
		o.failedCount++
	}
	if expires := status.ExpirationTime; expires != nil && !expires.Time.Equal(seen.plan.expires) {
		seen.was, seen.plan = seen.plan, plan{expires: expires.Time}
		if next := status.NextRefreshTime; next != nil {
			seen.plan.due = next.Time
		}
	}
	o.statuses[name] = seen
	o.compare(name, now)
}

// hashSeed is that of the hashes of access tokens.
var hashSeed = maphash.MakeSeed()

func (o *observer) sawSecret(object client.Object, now time.Time) {
	secret, ok := object.(*corev1.Secret)
	if !ok || strings.HasSuffix(secret.Name, v1alpha1.StateSecretSuffix) {
		return
	}
	expires, err := time.Parse(time.RFC3339, string(secret.Data["expires_at"]))
	if err != nil {
		o.fail(fmt.Errorf("the target %s does not say when its token expires: %w", secret.Name, err))
		return
	}
	name, token := client.ObjectKeyFromObject(secret), maphash.Bytes(hashSeed, secret.Data["access_token"])
	o.mu.Lock()
	defer o.mu.Unlock()
	before, known := o.targets[name]
	if known && before.token == token && before.expires.Equal(expires) {
		return
	}
	seen := seenTarget{first: before.first, since: now, expires: expires, token: token, tokens: before.tokens + 1}
	o.published++
	if known {
		o.replacements = append(o.replacements, replacement{at: now, age: now.Sub(before.since), expires: before.expires,
			due: o.statuses[name].dueOf(before.expires)})
	} else {
		seen.first, o.lastFirst = now, now
	}
	o.targets[name] = seen
	o.compare(name, now)
}

// dueOf is when the token of that expiry was to be renewed, by a status that told of
// it; zero where none has. Two watches run apart, so the status of the next token
// may have been seen already.
func (s seenStatus) dueOf(expires time.Time) time.Time {
	for _, each := range []plan{s.plan, s.was} {
		if each.expires.Equal(expires) {
			return each.due
		}
	}
	return time.Time{}
}
