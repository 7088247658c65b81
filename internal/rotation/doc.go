// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rotation keeps a credential's refresh token. The token lives in a
// state Secret, together with all that is needed to go on from there after a
// crash at any moment:
//
//	          seed adopted
//	(empty) ───────────────▶ held ◀───────────────────────────┐
//	                         │  ▲ │                           │
//	                         │  │ └─ another seed, or that of │
//	                         │  │    before (undo) ──▶ held   │
//	                   claim │  │ withdraw                    │
//	                         │  │ (nothing was spent)         │
//	                         ▼  │                             │
//	                        claimed ── exchange ── commit ────┤
//	                         │         (new tokens, sequence + 1)
//	     holder gone, or     │                                │
//	     no clear answer     ▼                                │
//	                        unknown ── login ── commit ───────┘
//	                         │  ├── resend once, where allowed ──▶ claimed
//	                         │  └── another seed ──▶ held
//	     the retry is        │
//	     refused             ▼
//	                        lost ── another seed, or a login ──▶ held
//
// A new seed is a person's decision and ends a claim on the token that it
// replaces. It can be undone: until the provider accepts the new seed, the seed of
// before brings back the token that was live, which is not spent unless it was
// sent. Every other transition ends only the attempt whose ID it is given.
//
// A token that was sent under a claim, has brought an access token and was left as it was
// is proven to work again (Proof). It is sent without a claim, from held to held, until
// the provider gives another token in its place or refuses it.
//
// A single-use token is sent only while a claim on it stands in the API server,
// so whoever comes later knows that it may be spent. Every transition is a pure
// function on State: nothing is read or written here. What stands around it does that:
//
//   - recovery says what becomes of an attempt that somebody left;
//   - encoding is a state as the data of its Secret, marks what its metadata says;
//   - store makes a transition durable, twins finds others on the same token;
//   - spool, horizon and look know no state.
package rotation
