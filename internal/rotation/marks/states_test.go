// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package marks

import "github.com/tokenkeeper/tokenkeeper/test/states"

var (
	noon     = states.Noon
	key      = states.Key
	text     = states.Text
	holding  = states.Holding
	rotated  = states.Rotated
	adopting = states.Adopting
)
