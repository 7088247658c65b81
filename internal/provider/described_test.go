// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
)

func spec(t testing.TB, text string) v1alpha1.ClusterTokenProviderSpec {
	t.Helper()
	var spec v1alpha1.ClusterTokenProviderSpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

func compiled(t testing.TB, text string) *provider.Provider {
	t.Helper()
	p, err := compile.Provider("example", spec(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
