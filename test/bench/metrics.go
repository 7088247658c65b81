// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// samples are metrics as Prometheus would scrape them.
type samples map[string]*dto.MetricFamily

// parseSamples reads the families with one of the prefixes; an API server serves
// megabytes of others.
func parseSamples(text []byte, prefixes ...string) (samples, error) {
	var wanted bytes.Buffer
	for line := range bytes.Lines(text) {
		name := bytes.TrimPrefix(bytes.TrimPrefix(line, []byte("# TYPE ")), []byte("# HELP "))
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return bytes.HasPrefix(name, []byte(prefix)) }) {
			wanted.Write(line)
		}
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(&wanted)
}

// sum adds up the values of a counter or gauge whose labels are as given.
func (s samples) sum(name string, labels map[string]string) float64 {
	total := 0.0
	for _, metric := range s[name].GetMetric() {
		if matches(metric, labels) {
			total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + metric.GetUntyped().GetValue()
		}
	}
	return total
}

func matches(metric *dto.Metric, labels map[string]string) bool {
	for name, value := range labels {
		if labelOf(metric, name) != value {
			return false
		}
	}
	return true
}

func labelOf(metric *dto.Metric, name string) string {
	for _, pair := range metric.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

// buckets of a histogram without labels: how many were at most so much.
func (s samples) buckets(name string) map[float64]float64 {
	counts := map[float64]float64{}
	for _, metric := range s[name].GetMetric() {
		for _, bucket := range metric.GetHistogram().GetBucket() {
			counts[bucket.GetUpperBound()] += float64(bucket.GetCumulativeCount())
		}
	}
	return counts
}

// bucketQuantile is a quantile of what came to a histogram between two scrapes,
// as Prometheus estimates it: evenly spread within a bucket.
func bucketQuantile(q float64, before, after map[float64]float64) float64 {
	bounds := slices.Sorted(maps.Keys(after))
	if len(bounds) == 0 {
		return math.NaN()
	}
	count := func(bound float64) float64 { return after[bound] - before[bound] }
	all := count(bounds[len(bounds)-1])
	if all == 0 {
		return math.NaN()
	}
	lower, below := 0.0, 0.0
	for _, bound := range bounds {
		if here := count(bound); here >= q*all {
			if math.IsInf(bound, 1) {
				return lower
			}
			return lower + (bound-lower)*(q*all-below)/(here-below)
		}
		lower, below = bound, count(bound)
	}
	return lower
}

// request to the API server, as it counts them.
type request struct{ verb, resource string }

func (r request) String() string { return r.verb + " " + r.resource }

// isWrite tells whether a request changes what is stored.
func (r request) isWrite() bool {
	return slices.Contains([]string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}, r.verb)
}

// benched are the resources that the operator works with. What else is asked for
// is the API server's own housekeeping.
var benched = []string{"secrets", "tokencredentials", "clustertokenproviders", "events", "namespaces"}

// requests counts requests by verb and resource.
type requests map[request]float64

func (s samples) requests() requests {
	counts := requests{}
	for _, metric := range s["apiserver_request_total"].GetMetric() {
		resource := labelOf(metric, "resource")
		if !slices.Contains(benched, resource) {
			continue
		}
		if sub := labelOf(metric, "subresource"); sub != "" {
			resource += "/" + sub
		}
		counts[request{labelOf(metric, "verb"), resource}] += metric.GetCounter().GetValue()
	}
	return counts
}

func (r requests) since(before requests) requests {
	difference := requests{}
	for key, count := range r {
		if count -= before[key]; count > 0 {
			difference[key] = count
		}
	}
	return difference
}

func (r requests) writes() float64 {
	total := 0.0
	for key, count := range r {
		if key.isWrite() {
			total += count
		}
	}
	return total
}

// writesTo counts the requests that write to a resource.
func (r requests) writesTo(resource string) float64 {
	total := 0.0
	for key, count := range r {
		if key.resource == resource && key.isWrite() {
			total += count
		}
	}
	return total
}

// per tells the counts in units of something, the most frequent first.
func (r requests) per(n float64) string {
	keys := slices.SortedFunc(maps.Keys(r), func(a, b request) int {
		return cmp.Or(cmp.Compare(r[b], r[a]), strings.Compare(a.String(), b.String()))
	})
	var parts []string
	for _, key := range keys {
		if share := r[key] / n; share >= 0.005 && key.verb != "WATCH" {
			parts = append(parts, fmt.Sprintf("%s %.2f", key, share))
		}
	}
	return strings.Join(parts, ", ")
}

// reading is everything that is counted, at one moment.
type reading struct {
	at        time.Time
	processor map[string]float64 // seconds, by process
	idle      float64
	calls     calls
	published float64 // tokens in targets, as the observer has seen; 0: there is none
	stale     float64 // statuses that say something else than their targets
	api       requests
	refreshes float64 // when api was read: an API server takes a while to tell
	manager   samples // none while it does not run
}

// read takes a reading. The processors' first and last, so that the time between
// two readings holds the scrapes of the first alone.
func (l *lab) read(ctx context.Context) (*reading, error) {
	r := &reading{at: time.Now(), processor: map[string]float64{}}
	var err error
	for name, pid := range l.processes() {
		if r.processor[name], err = processorSeconds(pid); err != nil {
			return nil, err
		}
	}
	if r.idle, err = idleSeconds(); err != nil {
		return nil, err
	}
	if l.observer != nil {
		_, _, published, err := l.observer.tokens()
		if err != nil {
			return nil, err
		}
		r.published, r.stale = float64(published), float64(l.observer.staleStatuses())
	}
	if r.calls, err = l.simulator.counts(ctx); err != nil {
		return nil, err
	}
	text, err := l.metrics.Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	served, err := parseSamples(text, "apiserver_request_total")
	if err != nil {
		return nil, err
	}
	r.api = served.requests()
	after, err := l.simulator.counts(ctx)
	if err != nil {
		return nil, err
	}
	r.refreshes = (r.calls.refreshes + after.refreshes) / 2
	if l.manager != nil {
		r.manager, err = l.scrape(ctx)
	}
	return r, err
}

// scrape reads the operator's metrics, all but those of single credentials.
func (l *lab) scrape(ctx context.Context) (samples, error) {
	var text bytes.Buffer
	if err := get(ctx, "http://"+l.manager.metrics+"/metrics", &text); err != nil {
		return nil, err
	}
	return parseSamples(text.Bytes(), "tokenkeeper_refresh_total", "tokenkeeper_refresh_lateness", "rest_client_requests_total",
		"workqueue_depth", "leader_election_master_status", "go_memstats_", "go_goroutines")
}

// harness is this process among those whose processor time is read.
const harness = "bench"

func (l *lab) processes() map[string]int {
	pids := maps.Clone(l.cluster.pids)
	pids[harness] = os.Getpid()
	pids["simulator"] = l.simulator.command.Process.Pid
	if l.manager != nil {
		pids["manager"] = l.manager.PID()
	}
	if l.courier != nil {
		pids[courierName] = l.courier.command.Process.Pid
	}
	return pids
}
