// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package screen draws all that is known of one credential on one screen, and what a check
// found. It is pure: what is drawn, the time and the width are given.
package screen
