// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const served = `# HELP apiserver_request_total Requests.
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",resource="secrets",subresource="",verb="PUT"} 7
apiserver_request_total{code="409",resource="secrets",subresource="",verb="PUT"} 1
apiserver_request_total{code="200",resource="secrets",subresource="",verb="GET"} 4
apiserver_request_total{code="200",resource="tokencredentials",subresource="status",verb="PATCH"} 3
apiserver_request_total{code="200",resource="leases",subresource="",verb="PUT"} 99
# HELP apiserver_request_total_of_another_kind Not asked for.
# TYPE unwanted counter
unwanted 5
# TYPE lateness histogram
lateness_bucket{le="0.01"} 90
lateness_bucket{le="0.1"} 100
lateness_bucket{le="+Inf"} 100
lateness_sum 1
lateness_count 100
`

func TestRequestsAreCountedByVerbAndResource(t *testing.T) {
	t.Parallel()
	parsed, err := parseSamples([]byte(served), "apiserver_request_total")
	if err != nil {
		t.Fatal(err)
	}
	counted := parsed.requests()
	want := requests{{"PUT", "secrets"}: 8, {"GET", "secrets"}: 4, {"PATCH", "tokencredentials/status"}: 3}
	if diff := cmp.Diff(want, counted); diff != "" {
		t.Errorf("the API server's housekeeping is not counted, refusals are (-want +got):\n%s", diff)
	}
	if len(parsed["unwanted"].GetMetric()) > 0 {
		t.Error("a family was read that nobody asked for")
	}
	later := requests{{"PUT", "secrets"}: 10, {"GET", "secrets"}: 4, {"PATCH", "tokencredentials/status"}: 5}
	since := later.since(counted)
	if since.writes() != 4 {
		t.Errorf("%v writes, want 4", since.writes())
	}
	if got, want := since.per(2), "PATCH tokencredentials/status 1.00, PUT secrets 1.00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestQuantilesBetweenScrapes(t *testing.T) {
	t.Parallel()
	parsed, err := parseSamples([]byte(served), "lateness")
	if err != nil {
		t.Fatal(err)
	}
	after := parsed.buckets("lateness")
	for _, test := range []struct {
		name   string
		q      float64
		before map[float64]float64
		want   float64
	}{
		{"within the first bucket, evenly spread", 0.45, nil, 0.005},
		{"within the second", 0.95, nil, 0.055},
		{"only what came since the first scrape", 0.5, map[float64]float64{0.01: 90, 0.1: 90, math.Inf(1): 90}, 0.055},
		{"the largest is at most the bound of the last bucket that got any", 1, nil, 0.1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := bucketQuantile(test.q, test.before, after); !cmp.Equal(got, test.want, cmpopts.EquateApprox(0, 1e-9)) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestProcessStat(t *testing.T) {
	t.Parallel()
	got, err := parseStat("4711 (a (strange) name) S 42 1 1 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 100 0 0")
	if err != nil {
		t.Fatal(err)
	}
	want := stat{name: "a (strange) name", parent: 42, processorSeconds: 3}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(stat{})); diff != "" {
		t.Errorf("a name may hold blanks and parentheses (-want +got):\n%s", diff)
	}
	if _, err := parseStat("nonsense"); err == nil {
		t.Error("nonsense was read")
	}
}
