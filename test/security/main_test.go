// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package security attacks an install as strangers would: against a real API server
// on which all that is shipped is installed, as users with real rights. The attacks
// are listed in test/faults.
package security

import (
	"os"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Run(m)) }
