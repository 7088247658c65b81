// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package guard keeps the operator from being a confused deputy: from doing with its
// own rights what whoever writes a TokenCredential may not do. It judges which Secrets
// are sent to a provider, which are written, and what a template may set on them, for
// every package that does so.
//
// Who may name a Secret at all is the admission policy's to say. What is refused here
// is refused to everybody, with or without that policy. The package is pure: it reads
// nothing and writes nothing.
package guard
