// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command chart brings the Helm chart up to date with what it is made from: it copies what
// is installed unchanged (CRDs, the admission policy, roles) from config/, where they are
// written, and makes the table of values in the chart's README.md from the comments in
// values.yaml. Run it by `make chart`, at the root of the repository.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const chart = "charts/tokenkeeper"

// copies are the files of config/ that the chart installs, by the folder they go to.
var copies = map[string][]string{
	"crds":      {"crd/bases/*.yaml"},
	"admission": {"admission/policy.yaml", "admission/binding.yaml"},
	"manager":   {"rbac/role.yaml", "rbac/leader_election_role.yaml", "rbac/digest_key_role.yaml", "rbac/metrics_auth_role.yaml", "nudge-pods/nudge_pods_role.yaml"},
	"observe":   {"prometheus/rules.yaml", "grafana/tokenkeeper.json"},
	"people":    {"rbac/metrics_reader_role.yaml", "rbac/tokencredential_*_role.yaml", "rbac/clustertokenprovider_*_role.yaml"},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run() error {
	if err := os.RemoveAll(filepath.Join(chart, "files")); err != nil {
		return err
	}
	for folder, patterns := range copies {
		if err := copyInto(filepath.Join(chart, "files", folder), patterns); err != nil {
			return err
		}
	}
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	table, err := tableOf(values)
	if err != nil {
		return err
	}
	return replaceTable(filepath.Join(chart, "README.md"), table)
}

func copyInto(folder string, patterns []string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // part of the repository
		return err
	}
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join("config", pattern))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("no file is named %s in config/ (%w)", pattern, err)
		}
		for _, name := range found {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(folder, filepath.Base(name)), text, 0o644); err != nil { //nolint:gosec // as above
				return err
			}
		}
	}
	return nil
}

// tableOf makes a row of each value whose comment begins with "--".
func tableOf(values []byte) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return "", err
	}
	var rows strings.Builder
	rows.WriteString("| value | default | |\n|---|---|---|\n")
	if err := addRows(&rows, "", document.Content[0]); err != nil {
		return "", err
	}
	return rows.String(), nil
}

// addRows adds the rows of a map. A value without a comment is a map of others.
func addRows(rows *strings.Builder, prefix string, node *yaml.Node) error {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := prefix + key.Value
		about, isDescribed := description(key.HeadComment)
		switch {
		case isDescribed:
			text, err := inline(value)
			if err != nil {
				return err
			}
			fmt.Fprintf(rows, "| `%s` | `%s` | %s |\n", name, text, about)
		case value.Kind == yaml.MappingNode:
			if err := addRows(rows, name+".", value); err != nil {
				return err
			}
		default:
			return fmt.Errorf("values.yaml: say above %s what it is for, in a comment that begins with --", name)
		}
	}
	return nil
}

func description(comment string) (string, bool) {
	lines := strings.Split(comment, "\n")
	return strings.CutPrefix(lines[len(lines)-1], "# -- ")
}

// inline writes a value on one line.
func inline(node *yaml.Node) (string, error) {
	var flow func(*yaml.Node)
	flow = func(n *yaml.Node) {
		n.HeadComment, n.LineComment, n.FootComment = "", "", ""
		if n.Kind != yaml.ScalarNode {
			n.Style = yaml.FlowStyle
		}
		for _, each := range n.Content {
			flow(each)
		}
	}
	flow(node)
	text, err := yaml.Marshal(node)
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "|", `\|`), err
}

// replaceTable puts the table between the markers of a README.
func replaceTable(name, table string) error {
	const begin, end = "<!-- values: make chart -->\n", "<!-- end of values -->"
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s lacks the markers %q and %q", name, begin, end)
	}
	return os.WriteFile(name, []byte(before+begin+"\n"+table+"\n"+end+after), 0o644) //nolint:gosec // as above
}
