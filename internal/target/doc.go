// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package target renders an access token into the Secret that pods mount, and
// keeps that Secret as it was written.
//
// It writes only what is the credential's: a Secret that it owns, or, with
// creationPolicy Merge, its own keys of a Secret that exists. An annotation, the
// Mark, goes with each token and says which one the Secret holds, so that a
// restart knows a fresh credential from the metadata cache alone.
//
// Whatever could refuse a write is found before a provider is asked for anything:
// what the template alone tells by its compiler (package render), what the live Secret tells (another
// owner, an immutable Secret, a wrong type) by Inspect, and what only the API
// server knows (quota, admission, policies) by DryRun.
//
// Values go in and come out: nothing is kept between two calls but the pace of
// repairs. The package asks no provider, decides on no
// renewal, and never sees a refresh token. No value of a Secret gets into an error.
package target
