// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// forget drops the replacements seen so far, and returns them.
func (o *observer) forget() []replacement {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.replacements
	o.replacements = nil
	return all
}

// tokens is how many targets have one, when the newest target appeared, and how many
// tokens have been published in all.
func (o *observer) tokens() (targets int, last time.Time, published int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.targets), o.lastFirst, o.published, o.failure
}

// snapshot is what each target holds, and each status says.
func (o *observer) snapshot() (map[types.NamespacedName]seenTarget, map[types.NamespacedName]seenStatus, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.targets), maps.Clone(o.statuses), o.failure
}

// failed is how many credentials have ever had an attempt that failed, by status.
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

// unreplaced is for how long each target has held its token beyond the time that the
// status named for its renewal, in seconds: those that are late still, which no
// replacement tells of.
func (o *observer) unreplaced(now time.Time) []float64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	var late []float64
	for name, target := range o.targets {
		if due := o.statuses[name].dueOf(target.expires); !due.IsZero() && now.After(due) {
			late = append(late, now.Sub(due).Seconds())
		}
	}
	return late
}

// lacking counts, among the credentials of a population, those without a token and
// those whose token is older than the age given: none, and nothing is saturated.
func (o *observer) lacking(p population, oldest time.Duration) (int, error) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	count := 0
	for i := range p.count {
		if target, served := o.targets[p.key(i)]; !served || now.Sub(target.since) > oldest {
			count++
		}
	}
	return count, o.failure
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

// awaitTokens waits until so many targets hold a token, and returns when the last of
// them appeared.
func awaitTokens(ctx context.Context, l *lab, o *observer, n int, patience time.Duration) (time.Time, error) {
	var last time.Time
	err := l.await(ctx, fmt.Sprintf("%d targets hold a token", n), patience, func(context.Context) (bool, string, error) {
		targets, at, _, err := o.tokens()
		last = at
		return targets >= n, fmt.Sprintf("%d of %d targets hold a token", targets, n), err
	})
	return last, err
}

// awaitStatuses waits until the status of each target has agreed with it once, from
// now on, and returns when the last did.
func awaitStatuses(ctx context.Context, l *lab, o *observer, patience time.Duration) (time.Time, error) {
	began := time.Now()
	wrong := o.expectAgreement(began)
	last := began
	err := l.await(ctx, "each status agrees with its target", patience, func(context.Context) (bool, string, error) {
		pending, at, err := o.pending()
		last = at
		return pending == 0, fmt.Sprintf("%d of %d statuses have yet to agree with their targets", pending, wrong), err
	})
	return last, err
}

// awaitAll waits until so many targets hold a token and the status of each is right.
func awaitAll(ctx context.Context, l *lab, o *observer, n int, patience time.Duration) error {
	if _, err := awaitTokens(ctx, l, o, n, patience); err != nil {
		return err
	}
	_, err := awaitStatuses(ctx, l, o, patience)
	return err
}
