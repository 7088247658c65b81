// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import "net/http"

// Request is what is sent. Whoever passes one on need not know HTTP.
type Request = http.Request

// Caller calls providers. Client is the one that does; a test may put another
// before it.
type Caller interface {
	// Check tells whether a request may be sent at all, without sending it. Its
	// error is ErrDenied.
	Check(request *Request) error
	// Do sends a request once. Its error is ErrDenied, ErrNotSent, or any other
	// where bytes may have been sent; then what came of the reply, if any, is
	// returned too.
	Do(request *Request, singleUse bool) (*Reply, error)
}

var _ Caller = (*Client)(nil)
