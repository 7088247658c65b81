// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// observer sees what a pod and a person would: every target and every status, as
// they change. It knows nothing of the operator but what these say.
type observer struct {
	end context.CancelFunc

	mu      sync.Mutex
	targets map[string]seenTarget
	status  map[string]seenStatus
	// replacements of a token by another one, since the last forget.
	replacements []replacement
	readyCount   int
	lastReady    time.Time // when the newest became Ready
	failedCount  int       // credentials of which an attempt has failed
	failure      error
}

// seenTarget is the token that a target holds.
type seenTarget struct {
	since   time.Time
	expires time.Time
}

// seenStatus is what a status says. The plan before the last is kept since the
// two watches run apart: a status may be seen before the target it tells of.
type seenStatus struct {
	ready    bool
	failed   bool // ever
	due, was time.Time
}

// replacement is one token that took another's place in a target.
type replacement struct {
	at      time.Time
	age     time.Duration // of the old one, as far as the observer saw it come
	expires time.Time     // of the old one
	due     time.Time     // by the status; zero: not known
}

// expired tells for how long the target held a token that had expired.
func (r replacement) expired() time.Duration { return r.at.Sub(r.expires) }

// observe watches credentials and, where asked, targets too, from now on.
func (l *lab) observe(ctx context.Context, targets bool) (*observer, error) {
	ctx, end := context.WithCancel(ctx)
	o := &observer{end: end, targets: map[string]seenTarget{}, status: map[string]seenStatus{}}
	if err := l.follow(ctx, o, &v1alpha1.TokenCredentialList{}, o.sawCredential); err != nil {
		end()
		return nil, err
	}
	if !targets {
		return o, nil
	}
	if err := l.follow(ctx, o, &corev1.SecretList{}, o.sawSecret,
		client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
		client.MatchingFields{"type": string(corev1.SecretTypeOpaque)}); err != nil {
		end()
		return nil, err
	}
	return o, nil
}

// follow hands over each object as it changes, until the context ends.
func (l *lab) follow(ctx context.Context, o *observer, list client.ObjectList, saw func(client.Object, time.Time), options ...client.ListOption) error {
	options = slices.Clip(append(options, client.InNamespace(namespace)))
	if err := l.List(ctx, list, append(options, client.Limit(1))...); err != nil {
		return err
	}
	// It goes on where it was when the API server ends a watch, as one does that
	// has other things to do.
	stream, err := watchtools.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), watcher(func(ctx context.Context, from metav1.ListOptions) (watch.Interface, error) {
		return l.Watch(ctx, list, append(options, &client.ListOptions{Raw: &from})...)
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
	ready := meta.IsStatusConditionTrue(credential.Status.Conditions, v1alpha1.ReadyCondition)
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.status[credential.Name]
	if ready && !seen.ready {
		o.readyCount++
		o.lastReady = now
	} else if !ready && seen.ready {
		o.readyCount--
	}
	seen.ready = ready
	if credential.Status.FailedAttempts > 0 && !seen.failed {
		seen.failed = true
		o.failedCount++
	}
	if next := credential.Status.NextRefreshTime; next != nil && !next.Time.Equal(seen.due) {
		seen.due, seen.was = next.Time, seen.due
	}
	o.status[credential.Name] = seen
}

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
	o.mu.Lock()
	defer o.mu.Unlock()
	before, known := o.targets[secret.Name]
	if known && before.expires.Equal(expires) {
		return
	}
	o.targets[secret.Name] = seenTarget{since: now, expires: expires}
	if !known {
		return
	}
	status := o.status[secret.Name]
	due := status.due
	if due.Sub(now) > time.Second { // already the plan for the next: this one began a second early at the most
		due = status.was
	}
	o.replacements = append(o.replacements, replacement{at: now, age: now.Sub(before.since), expires: before.expires, due: due})
}

// forget drops the replacements seen so far, and returns them.
func (o *observer) forget() []replacement {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.replacements
	o.replacements = nil
	return all
}

// ready is how many credentials are Ready, and since when the newest is.
func (o *observer) ready() (int, time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.readyCount, o.lastReady, o.failure
}

// failed is how many credentials have ever had an attempt that failed.
func (o *observer) failed() (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failedCount, o.failure
}

// behind counts the targets whose token has expired, and those whose token is
// older than it should ever get.
func (o *observer) behind(now time.Time, oldest time.Duration) (expired, overdue int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, target := range o.targets {
		if now.After(target.expires) {
			expired++
		}
		if now.Sub(target.since) > oldest {
			overdue++
		}
	}
	return expired, overdue, o.failure
}

// everExpired counts the tokens that expired in a target: those that have been
// replaced, and those that are there still.
func (o *observer) everExpired(replaced []replacement) (int, error) {
	count, _, err := o.behind(time.Now(), 0)
	for _, each := range replaced {
		if each.expired() > 0 {
			count++
		}
	}
	return count, err
}

// awaitReady waits until so many credentials are Ready, and returns when the last
// of them was seen to be.
func (l *lab) awaitReady(ctx context.Context, o *observer, n int, patience time.Duration) (time.Time, error) {
	var last time.Time
	err := l.await(ctx, fmt.Sprintf("%d credentials are Ready", n), patience, func(context.Context) (bool, string, error) {
		ready, at, err := o.ready()
		last = at
		return ready >= n, fmt.Sprintf("%d of %d credentials are Ready", ready, n), err
	})
	return last, err
}
