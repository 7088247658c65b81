// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
)

// Table lists providers, the built-in ones first.
func Table(builtIns map[string]v1alpha1.ClusterTokenProviderSpec, described []v1alpha1.ClusterTokenProvider) string {
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(columns, "NAME\tKIND\tREADY\tROTATION\tNEEDS\tDESCRIPTION")
	line := func(name, kind, ready string, spec v1alpha1.ClusterTokenProviderSpec) {
		rotation, needs := "-", "-"
		if compiled, err := compile.Provider(name, spec); err == nil {
			rotation, needs = string(compiled.Rotation.Mode), cmp.Or(strings.Join(needsOf(compiled, spec), ", "), "-")
		}
		_, _ = fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\n", name, kind, ready, rotation, needs, spec.Description)
	}
	for _, name := range slices.Sorted(maps.Keys(builtIns)) {
		line(name, "BuiltIn", "True", builtIns[name])
	}
	for _, each := range described {
		ready := "Unknown"
		if found := meta.FindStatusCondition(each.Status.Conditions, v1alpha1.ReadyCondition); found != nil {
			ready = string(found.Status)
		}
		line(each.Name, "ClusterTokenProvider", ready, each.Spec)
	}
	_ = columns.Flush() // a strings.Builder takes everything
	return text.String()
}

// needsOf is what a credential must bring.
func needsOf(compiled *provider.Provider, spec v1alpha1.ClusterTokenProviderSpec) []string {
	var needs []string
	if compiled.App == v1alpha1.Required {
		needs = append(needs, "app")
	}
	if compiled.RefreshToken == v1alpha1.Required {
		needs = append(needs, "refresh token")
	}
	if len(compiled.LoginKeys) > 0 {
		needs = append(needs, "login ("+strings.Join(compiled.LoginKeys, ", ")+")")
	}
	for _, parameter := range spec.Inputs.Parameters {
		if parameter.Required {
			needs = append(needs, parameter.Name)
		}
	}
	return needs
}
