// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rotation keeps a credential's refresh token. The token lives in a
// state Secret, together with all that is needed to go on from there after a
// crash at any moment:
//
//	          seed adopted
//	(empty) ───────────────▶ held ◀──────────────────────────┐
//	                          │  ▲                           │
//	                   claim  │  │ withdraw                  │
//	                          │  │ (nothing was spent)       │
//	                          ▼  │                           │
//	                        claimed ── exchange ── commit ───┘
//	                          │        (new tokens, sequence + 1)
//	     holder gone, or      │
//	     no clear answer      ▼
//	                       unknown ── resend once, where allowed ──▶ claimed
//	                          │
//	                          └── a new seed ──▶ held
//
// A single-use token is sent only while a claim on it stands in the API server,
// so whoever comes later knows that it may be spent. Every transition is a pure
// function on State; Store makes one durable with an update at the
// resourceVersion that was read, so of two writers one fails.
//
// The package never calls a provider, and never writes anything but state
// Secrets.
package rotation
