// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

const (
	mebibyte = 1 << 20
	kibibyte = 1 << 10
)

// sizes are the numbers of credentials at which memory is read. What the first
// thousand costs is warming up.
var sizes = []int{1000, 10000, 50000}

// memory of the operator at rest.
type memory struct {
	resident  float64 // bytes
	anonymous float64 // bytes of it that are not the program's own file
	heap      float64 // bytes in use
}

// measureMemory reads the operator's memory as its credentials become more: after
// the work that their first tokens are, and after a restart.
func measureMemory(ctx context.Context, l *lab) (*result, error) {
	r := &result{}
	observer, err := l.observe(ctx, true)
	if err != nil {
		return r, err
	}
	defer observer.end()
	if _, err := l.start(ctx); err != nil {
		return r, err
	}
	idle, err := restedMemory(ctx, l, "without a credential")
	if err != nil {
		return r, err
	}
	r.judge("resident, no credential", idle.resident/mebibyte, "MiB", atMost(60))
	r.add("of it not backed by the program's file", idle.anonymous/mebibyte, "MiB")
	var worked, restarted []memory
	made := 0
	for _, size := range sizes {
		size = l.number(size)
		after, again, err := memoryOf(ctx, l, r, observer, made, size)
		if err != nil {
			return r, err
		}
		worked, restarted, made = append(worked, after), append(restarted, again), size
	}
	last := len(sizes) - 1
	beyond := float64(l.number(sizes[last]) - l.number(sizes[0]))
	each := func(read []memory) float64 { return (read[last].resident - read[0].resident) / beyond / kibibyte }
	r.judge("per credential beyond the first thousand, after their first refresh", each(worked), "KiB", atMost(4.5))
	r.judge("per credential beyond the first thousand, after a restart", each(restarted), "KiB", atMost(4.5))
	return r, nil
}

// memoryOf makes credentials up to a size and reads the memory once all statuses are
// written and the operator is at rest, and again after a restart.
func memoryOf(ctx context.Context, l *lab, r *result, o *observer, made, size int) (after, again memory, err error) {
	if err := populate(ctx, l, population{vendor: simulator.MCS, first: made, count: size - made}); err != nil {
		return after, again, err
	}
	if err := awaitAll(ctx, l, o, size, 30*time.Minute); err != nil {
		return after, again, err
	}
	if after, err = restedMemory(ctx, l, fmt.Sprintf("%d credentials, at rest after their first refresh", size)); err != nil {
		return after, again, err
	}
	l.kill()
	if _, err := l.start(ctx); err != nil {
		return after, again, err
	}
	if again, err = restedMemory(ctx, l, fmt.Sprintf("%d credentials, at rest after a restart", size)); err != nil {
		return after, again, err
	}
	r.add(fmt.Sprintf("resident, %d credentials, after their first refresh", size), after.resident/mebibyte, "MiB")
	r.add(fmt.Sprintf("resident, %d credentials, after a restart", size), again.resident/mebibyte, "MiB")
	r.note("%d credentials: heap in use %.1f MiB after the first refresh, %.1f MiB after a restart", size, after.heap/mebibyte, again.heap/mebibyte)
	return after, again, nil
}

// restedMemory lets the operator rest, so that what it no longer needs has been
// collected and given back, and reads its memory.
func restedMemory(ctx context.Context, l *lab, what string) (memory, error) {
	if err := l.watchFor(ctx, l.settle, what); err != nil {
		return memory{}, err
	}
	resident, anonymous, err := residentBytes(l.manager.PID()) // before the scrape, which needs memory itself
	if err != nil {
		return memory{}, err
	}
	scraped, err := l.scrape(ctx)
	if err == nil && l.profile != "" {
		err = l.manager.saveProfile(ctx, "heap?gc=1", filepath.Join(l.profile, strings.ReplaceAll(what, " ", "-")+".heap.pprof"))
	}
	return memory{resident: resident, anonymous: anonymous, heap: scraped.sum("go_memstats_heap_inuse_bytes", nil)}, err
}

// The Secrets that are nobody's business.
const (
	unrelatedSecrets = 20000
	unrelatedSize    = 10 * kibibyte
)

// measureUnrelated reads the operator's memory in a cluster with many Secrets that
// no credential names.
func measureUnrelated(ctx context.Context, l *lab) (*result, error) {
	r := &result{}
	if _, err := l.start(ctx); err != nil {
		return r, err
	}
	without, err := restedMemory(ctx, l, "without other Secrets")
	if err != nil {
		return r, err
	}
	l.kill()
	n := l.number(unrelatedSecrets)
	l.say("  making %d Secrets of %d KiB", n, unrelatedSize/kibibyte)
	value := []byte(strings.Repeat("x", unrelatedSize))
	err = inParallel(ctx, writers, n, func(ctx context.Context, i int) error {
		return l.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("unrelated-%06d", i), Labels: map[string]string{"app": "unrelated"}},
			Data:       map[string][]byte{"value": value},
		})
	})
	if err != nil {
		return r, err
	}
	ready, err := l.start(ctx)
	if err != nil {
		return r, err
	}
	with, err := restedMemory(ctx, l, fmt.Sprintf("with %d other Secrets", n))
	if err != nil {
		return r, err
	}
	r.add("resident, no other Secret", without.resident/mebibyte, "MiB")
	r.add(fmt.Sprintf("resident, %d Secrets of 10 KiB", n), with.resident/mebibyte, "MiB")
	r.judge("per Secret of 10 KiB", (with.resident-without.resident)/float64(n)/kibibyte, "KiB", atMost(3))
	r.add("until /readyz says so", ready.Seconds(), "s")
	r.note("heap in use %.1f MiB without, %.1f MiB with them", without.heap/mebibyte, with.heap/mebibyte)
	return r, nil
}
