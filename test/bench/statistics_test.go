// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		q      float64
		values []float64
		want   float64
	}{
		{"the median of an odd number is the middle one", 0.5, []float64{3, 1, 2}, 2},
		{"the last quantile is the largest", 1, []float64{3, 9, 2}, 9},
		{"p99 of few values is the largest", 0.99, []float64{1, 2, 3, 4}, 4},
		{"p99 of a hundred leaves one out", 0.99, upTo(100), 99},
		{"nothing has no quantile", 0.5, nil, math.NaN()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := quantile(test.q, test.values); !cmp.Equal(got, test.want, cmpopts.EquateNaNs()) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestRankCorrelation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"the same order, whatever the distances", []float64{1, 2, 50}, []float64{10, 11, 12}, 1},
		{"the reverse order", []float64{1, 2, 3}, []float64{9, 5, 1}, -1},
		{"equal values share a rank", []float64{1, 1, 2, 2}, []float64{1, 2, 1, 2}, 0},
		{"one value has no order", []float64{1}, []float64{1}, math.NaN()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := rankCorrelation(test.a, test.b); !cmp.Equal(got, test.want, cmpopts.EquateNaNs(), cmpopts.EquateApprox(0, 1e-9)) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func upTo(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = float64(i + 1)
	}
	return values
}

// TestMadeSoThatRenewalsComeEvenly: with cycles of any length that jitter allows,
// renewals come in no wave once all credentials are made.
func TestMadeSoThatRenewalsComeEvenly(t *testing.T) {
	t.Parallel()
	const n, cycle = 10000, 90 * time.Second
	p := population{count: n, spread: 4 * cycle}
	for _, each := range []time.Duration{84 * time.Second, cycle, 96 * time.Second} {
		const parts = 12
		counts := make([]float64, parts)
		for i := range n {
			phase := p.moment(i) % each
			counts[int(parts*phase/each)]++
		}
		if least, most := slices.Min(counts), slices.Max(counts); most/least > 1.1 {
			t.Errorf("with a cycle of %s between %.0f and %.0f come in a twelfth of it", each, least, most)
		}
	}
}
