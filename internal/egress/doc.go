// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package egress is the only way out to a provider: an HTTP client that calls
// what the admin allows and nothing else, and that sends each request at most
// once.
//
// A credential's author chooses part of a URL, and a name may resolve to any
// address. So the check that counts is made on the address that is dialled, at
// the moment of dialling: a name that changes its mind between a check and its
// use (DNS rebinding) gains nothing. A redirect is a reply like any other, and
// nothing is sent to where it points. Proxies of the environment (HTTP_PROXY
// and its kin) are ignored: behind a proxy the dialled address would be the
// proxy's, and the check would check nothing.
//
// A refresh token may be good for one use only. Go's HTTP transport resends by
// itself a request that it can replay, when the connection it reused breaks
// (net/http: persistConn.shouldRetryRequest) or, over HTTP/2, when the server
// resets the stream (http2shouldRetryRequest), and the first copy may have been
// acted on. What it can replay is a request on a used connection whose body is
// missing or can be made again. So a request for single use, and every request
// without a body, has a connection of its own; the others share connections and
// carry a body that cannot be read twice.
//
// An error tells which of three things happened: ErrDenied, ErrNotSent, or
// anything else, which means that bytes may have left. No error holds a URL's
// path or query, a header's value or any part of a body, in its text or in what
// it wraps.
//
// The package knows nothing of providers, tokens or Kubernetes, and keeps no
// record of what it carried.
package egress
