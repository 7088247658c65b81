// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package upgrade holds what is shipped to what was installed before. In testdata are the
// CRDs from before v0.1, and the objects of an installation as that operator left them:
// credentials of six built-in providers, two of them with a refresh token that was rotated,
// one whose process was killed with its token on its way; and one that merges into a Secret
// of somebody else, one that is suspended, one that has stalled.
package upgrade

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

func TestMain(m *testing.M) {
	apiserver.CRDDirectory = filepath.Join("testdata", "crds")
	os.Exit(apiserver.Run(m))
}
