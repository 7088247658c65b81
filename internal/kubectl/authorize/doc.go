// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package authorize has a person grant access, and brings the refresh token that comes of
// it: by the authorization code flow (RFC 6749 section 4.1) with PKCE (RFC 7636), where a
// browser comes back to this machine (RFC 8252) or a person pastes what it came back with,
// and by the device flow (RFC 8628). A provider's description says what is sent and how
// replies are read; here is in which order, how often, and for whom.
//
// It runs on a person's machine and calls whom that person's credential names, so the
// operator's rules of egress do not hold: https, or this machine, and no redirects.
// No code and no token is ever shown.
package authorize
