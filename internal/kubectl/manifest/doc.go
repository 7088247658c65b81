// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifest is a file of objects before it is applied: a reader that finds what the
// file holds before what the cluster has, and a check of its credentials and providers with
// the operator's own packages.
//
// No provider is called and no token is spent; the cluster is asked by reads and dry runs, and
// changed by Apply alone. What is said of a Secret quotes no value of it.
package manifest
