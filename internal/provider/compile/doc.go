// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compile checks the description of a provider and makes it ready for use. What is
// wrong with it is told all at once, each with the path of its field. It reads nothing but
// the description, and knows no provider by name.
package compile
