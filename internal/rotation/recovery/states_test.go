// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import "github.com/tokenkeeper/tokenkeeper/test/states"

var (
	noon    = states.Noon
	text    = states.Text
	holding = states.Holding
)
