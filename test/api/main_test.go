// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package api tests the API of TokenKeeper against a real API server: what it lets in, what
// it refuses and with which words, and what kubectl shows of it.
package api

import (
	"os"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Run(m)) }
