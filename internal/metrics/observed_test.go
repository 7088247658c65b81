// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	_ "sigs.k8s.io/controller-runtime/pkg/controller" // registers its metrics
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"
)

// Where what is observed is described, seen from here.
const (
	rulesFile     = "../../config/prometheus/rules.yaml"
	dashboardFile = "../../config/grafana/tokenkeeper.json"
	runbooks      = "../../docs/runbooks"
	metricsPage   = "../../docs/metrics.md"
)

type rule struct {
	Alert, Expr string
	Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Spec struct{ Groups []struct{ Rules []rule } }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, group := range file.Spec.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// expressions of the alerts and of the dashboard, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, rule := range rules(t) {
		all["alert "+rule.Alert] = rule.Expr
	}
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all["panel "+panel.Title+" "+target.RefID] = target.Expr
		}
	}
	return all
}

// metricName is a name of the families that the operator serves.
var metricName = regexp.MustCompile(`\b(tokenkeeper|leader_election|controller_runtime|workqueue|process|go)_[a-z_]+\b`)

// TestEveryMetricThatIsNamedExists holds alerts and dashboard to what is served.
func TestEveryMetricThatIsNamedExists(t *testing.T) {
	t.Parallel()
	own := prometheus.NewRegistry()
	New(own)
	own.MustRegister(&CredentialCollector{}, &AttemptCollector{})
	served := strings.Join(append(described(own), described(ctrlmetrics.Registry.(*prometheus.Registry))...), "\n")
	all := expressions(t)
	if len(all) < 20 {
		t.Fatalf("%d expressions are found, want those of all alerts and panels", len(all))
	}
	for where, expr := range all {
		names := metricName.FindAllString(expr, -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric: %s", where, expr)
		}
		for _, name := range names {
			base := strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")
			if !strings.Contains(served, `fqName: "`+base+`"`) {
				t.Errorf("%s names %s, which nobody serves", where, name)
			}
		}
	}
}

// TestEveryMetricIsExplained holds docs/metrics.md to what is served: a row for each of our
// metrics, with its labels, and none for another.
func TestEveryMetricIsExplained(t *testing.T) {
	t.Parallel()
	own := prometheus.NewRegistry()
	New(own)
	own.MustRegister(&CredentialCollector{}, &AttemptCollector{})
	var want []string
	for _, text := range described(own) {
		name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(text)[1]
		labels := regexp.MustCompile(`variableLabels: \{([^}]*)\}`).FindStringSubmatch(text)[1]
		if name == "tokenkeeper_build_info" { // its label is constant
			labels = "version"
		}
		if labels != "" {
			name += "{" + labels + "}"
		}
		want = append(want, name)
	}
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(tokenkeeper_[^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, row[1])
	}
	slices.Sort(want)
	slices.Sort(rows)
	if !slices.Equal(want, rows) {
		t.Errorf("docs/metrics.md has rows for\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
}

// described are the descriptions of a registry's metrics.
func described(registry prometheus.Collector) []string {
	found := make(chan *prometheus.Desc)
	go func() { registry.Describe(found); close(found) }()
	var all []string
	for desc := range found {
		all = append(all, desc.String())
	}
	return all
}

// TestEveryAlertHasItsRunbook, and every runbook its alert.
func TestEveryAlertHasItsRunbook(t *testing.T) {
	t.Parallel()
	pages := []string{"README"}
	for _, rule := range rules(t) {
		pages = append(pages, rule.Alert)
		if want := "/docs/runbooks/" + rule.Alert + ".md"; !strings.HasSuffix(rule.Annotations["runbook_url"], want) {
			t.Errorf("%s has the runbook_url %q, want one that ends with %s", rule.Alert, rule.Annotations["runbook_url"], want)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s has no summary, or no description", rule.Alert)
		}
	}
	found, err := filepath.Glob(filepath.Join(runbooks, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		found[i] = strings.TrimSuffix(filepath.Base(found[i]), ".md")
	}
	slices.Sort(pages)
	if !slices.Equal(pages, found) {
		t.Errorf("the pages in docs/runbooks are %v, want %v", found, pages)
	}
}
