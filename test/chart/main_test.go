// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chart tests the Helm chart: that it installs what config/ does, whatever its
// values say, and that a real API server takes it. It is a module of its own, so that
// Helm's libraries are no part of the operator's.
package chart

import (
	"os"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Run(m)) }
