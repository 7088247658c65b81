// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package timetext reads moments and spans of time in the notations in which servers
// state when a token ends. It reads what can mean one thing alone and refuses the rest:
// 11/12/2026, or a zone such as CST, which three parts of the world have. It has no
// clock.
package timetext
