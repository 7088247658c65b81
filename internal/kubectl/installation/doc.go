// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package installation looks at what is installed: the API, the operator with its leader and
// the flags that say whom it may call, and the admission policy.
//
// It reads with the caller's rights, changes nothing, and tells what it may not read.
package installation
