// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package alerts tests the alerts of config/prometheus/rules.yaml with Prometheus's own rule
// engine, against series that are written down in files of promtool's form.
package alerts

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"sigs.k8s.io/yaml"
)

const rulesFile = "../../config/prometheus/rules.yaml"

// testFile is what is used here of promtool's form.
type testFile struct {
	EvaluationInterval model.Duration `json:"evaluation_interval"`
	Tests              []scenario     `json:"tests"`
}

// scenario is what is scraped, and what fires then.
type scenario struct {
	Name     string         `json:"name"`
	Interval model.Duration `json:"interval"`
	Series   []struct {
		Series string `json:"series"`
		Values string `json:"values"`
	} `json:"input_series"`
	Alerts []expectation `json:"alert_rule_test"`
}

// expectation is what fires of an alert at a time; nothing, where there is no alert.
type expectation struct {
	At    model.Duration `json:"eval_time"`
	Alert string         `json:"alertname"`
	Want  []struct {
		Labels      map[string]string `json:"exp_labels"`
		Annotations map[string]string `json:"exp_annotations"`
	} `json:"exp_alerts"`
}

// firing is one alert as a text that can be compared.
func firing(labels, annotations map[string]string) string {
	return fmt.Sprintf("%v %v", labels, annotations) // maps print in order
}

func (e expectation) want() []string {
	var all []string
	for _, each := range e.Want {
		labels := maps.Clone(each.Labels)
		labels[model.AlertNameLabel] = e.Alert
		all = append(all, firing(labels, each.Annotations))
	}
	slices.Sort(all)
	return all
}

// plainRules is the file as Prometheus reads it: what the Prometheus Operator makes of a
// PrometheusRule.
func plainRules(t *testing.T) string {
	t.Helper()
	var rule struct {
		Spec any `json:"spec"`
	}
	read(t, rulesFile, &rule)
	text, err := yaml.Marshal(rule.Spec)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// play scrapes a scenario's series and evaluates the rules, one interval after another, and
// holds what fires to what is expected.
func (s scenario) play(t *testing.T, file string, every time.Duration) {
	var input strings.Builder
	fmt.Fprintf(&input, "load %s\n", time.Duration(s.Interval))
	for _, each := range s.Series {
		fmt.Fprintf(&input, "  %s %s\n", each.Series, each.Values)
	}
	language := parser.NewParser(parser.Options{})
	scraped, err := promqltest.NewLazyLoader(input.String(), promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true, Parser: language})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = scraped.Close() }()
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:    rules.EngineQueryFunc(scraped.QueryEngine(), scraped.Storage()),
		AppendableV2: scraped.Storage(),
		Context:      t.Context(),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		Logger:       promslog.NewNopLogger(),
		Parser:       language,
	})
	groups, errs := manager.LoadGroups(every, labels.EmptyLabels(), "", nil, false, file)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, rule := range alerting(groups) {
		rule.SetRestored(true) // else it waits for what fired before a restart
	}
	last := slices.MaxFunc(s.Alerts, func(a, b expectation) int { return int(a.At - b.At) }).At
	for at := time.Duration(0); at <= time.Duration(last); at += every {
		now := time.Unix(0, 0).UTC().Add(at)
		scraped.WithSamplesTill(now, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range groups {
				group.Eval(scraped.Context(), now)
			}
		})
		for _, expected := range s.Alerts {
			if time.Duration(expected.At) == at {
				expected.check(t, groups)
			}
		}
	}
}

func (e expectation) check(t *testing.T, groups map[string]*rules.Group) {
	t.Helper()
	var got []string
	for _, rule := range alerting(groups) {
		if err := rule.LastError(); err != nil {
			t.Fatalf("%s cannot be evaluated: %v", rule.Name(), err)
		}
		for _, alert := range rule.ActiveAlerts() {
			if rule.Name() == e.Alert && alert.State == rules.StateFiring {
				got = append(got, firing(alert.Labels.Map(), alert.Annotations.Map()))
			}
		}
	}
	slices.Sort(got)
	if want := e.want(); !slices.Equal(got, want) {
		t.Errorf("%s at %s:\n got %s\nwant %s", e.Alert, e.At, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func alerting(groups map[string]*rules.Group) []*rules.AlertingRule {
	var all []*rules.AlertingRule
	for _, group := range groups {
		all = append(all, group.AlertingRules()...)
	}
	return all
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	file := plainRules(t)
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, name := range []string{"alerts.yaml", "grants.yaml"} {
		tests := testFile{}
		read(t, name, &tests)
		for _, each := range tests.Tests {
			for _, expected := range each.Alerts {
				if time.Duration(expected.At)%time.Duration(tests.EvaluationInterval) != 0 {
					t.Errorf("%s: nothing is evaluated at %s", each.Name, expected.At)
				}
				fires[expected.Alert] = fires[expected.Alert] || len(expected.Want) > 0
				rests[expected.Alert] = rests[expected.Alert] || len(expected.Want) == 0
			}
			t.Run(each.Name, func(t *testing.T) {
				t.Parallel()
				each.play(t, file, time.Duration(tests.EvaluationInterval))
			})
		}
	}
	var alerts struct {
		Spec struct {
			Groups []struct {
				Rules []struct {
					Alert string `json:"alert"`
				} `json:"rules"`
			} `json:"groups"`
		} `json:"spec"`
	}
	read(t, rulesFile, &alerts)
	for _, group := range alerts.Spec.Groups {
		for _, rule := range group.Rules {
			if !fires[rule.Alert] || !rests[rule.Alert] {
				t.Errorf("%s needs a scenario in which it fires, and one in which it does not", rule.Alert)
			}
		}
	}
}
