// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

// Authorize is how a person grants access.
type Authorize struct{}
