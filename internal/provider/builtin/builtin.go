// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package builtin holds the providers that ship with the operator, one file
// each: <name>.yaml is exactly the spec of a ClusterTokenProvider, so that what a
// built-in can say a user can say too. To add a provider is to add its file and
// its conversation in testdata; there is no Go code per provider.
package builtin

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

//go:embed *.yaml
var files embed.FS

// Specs gives the built-in providers by name. An unknown field in a file is an
// error.
func Specs() (map[string]v1alpha1.ClusterTokenProviderSpec, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the built-in providers: %w", err)
	}
	specs := make(map[string]v1alpha1.ClusterTokenProviderSpec, len(names))
	for _, name := range names {
		content, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the built-in provider: %w", err)
		}
		var spec v1alpha1.ClusterTokenProviderSpec
		if err := yaml.UnmarshalStrict(content, &spec); err != nil {
			return nil, fmt.Errorf("read the built-in provider %s: %w", name, err)
		}
		specs[strings.TrimSuffix(name, path.Ext(name))] = spec
	}
	return specs, nil
}
