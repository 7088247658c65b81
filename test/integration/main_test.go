// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration tests the operator against a real API server and the provider
// simulator.
package integration

import (
	"os"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Run(m)) }
