// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
)

var (
	// ErrDenied: the policy does not let the request out. Nothing was sent.
	ErrDenied = errors.New("denied by the egress policy")

	// ErrNotSent: the provider could not be reached (ErrUnreachable), or the
	// request cannot be sent as it is. No byte of the request was sent.
	ErrNotSent = errors.New("nothing was sent")

	// ErrUnreachable: there was no connection (DNS, dial, TLS). It is an ErrNotSent
	// that says something of the provider's host.
	ErrUnreachable = fmt.Errorf("%w: there was no connection", ErrNotSent)

	// errUnanswered: bytes may have been sent, and no whole reply came.
	errUnanswered = errors.New("no whole reply came")
)

// failure is every error of this package. It wraps its kind and, of what the
// standard library said, context errors alone: others may quote what was sent
// or received.
type failure struct {
	kind    error
	message string
	context error // context.DeadlineExceeded, context.Canceled or nil
}

// Error is for people, and holds no secret.
func (f *failure) Error() string { return f.message }

// Unwrap gives the kind and, where a deadline or cancellation was the cause,
// the context's error.
func (f *failure) Unwrap() []error {
	if f.context == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.context}
}

// Failure is an error of this package in words that another process can be told.
type Failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	// Context is how the request's context ended where that was the cause.
	Context string `json:"context,omitempty"`
}

// kinds of failures by their name. The order counts: the first that an error is.
var kinds = []struct {
	name string
	kind error
}{
	{"denied", ErrDenied}, {"certificate", ErrCertificate}, {"unreachable", ErrUnreachable}, {"not-sent", ErrNotSent}, {"unanswered", errUnanswered},
}

const (
	endedLate  = "deadline"
	endedEarly = "cancelled"
)

// FailureOf describes what Do or Check returned; nil: they did not fail. Of an error that
// is none of this package's it says no more than that bytes may have been sent: its text
// may quote them.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	told := &Failure{Kind: "unanswered", Message: "the exchange broke off; the request may have been acted on"}
	for _, each := range kinds {
		if errors.Is(err, each.kind) {
			told.Kind, told.Message = each.name, each.kind.Error()
			break
		}
	}
	if known := (*failure)(nil); errors.As(err, &known) {
		told.Message = known.message
	}
	switch ended := contextError(err); {
	case errors.Is(ended, context.DeadlineExceeded):
		told.Context = endedLate
	case errors.Is(ended, context.Canceled):
		told.Context = endedEarly
	}
	return told
}

// Err is the error that was described. A kind that this version does not know means that
// bytes may have been sent.
func (f *Failure) Err() error {
	if f == nil {
		return nil
	}
	known := &failure{kind: errUnanswered, message: f.Message}
	for _, each := range kinds {
		if each.name == f.Kind {
			known.kind = each.kind
		}
	}
	switch f.Context {
	case endedLate:
		known.context = context.DeadlineExceeded
	case endedEarly:
		known.context = context.Canceled
	}
	return known
}

// NotSent is an error that says why a request was not sent, by who carries it.
func NotSent(message string) error { return &failure{kind: ErrNotSent, message: message} }

// Unanswered is an error that says why no reply came although bytes may have been sent.
func Unanswered(message string) error { return &failure{kind: errUnanswered, message: message} }

func denied(format string, arguments ...any) error {
	return &failure{kind: ErrDenied, message: fmt.Sprintf(format, arguments...)}
}

// notSent describes an error from before anything of the request was written.
// Such errors speak of names, addresses and certificates only.
func notSent(host string, err error) error {
	return &failure{kind: ErrUnreachable, message: host + " could not be reached: " + unreachable(err), context: contextError(err)}
}

// unanswered describes an error from after bytes may have been written, without
// quoting it: it may hold parts of the reply.
func unanswered(host string, err error) error {
	var tooLarge *http.MaxBytesError
	message := "the exchange with " + host + " broke off"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		message = host + " did not answer in time"
	case errors.Is(err, context.Canceled):
		message = "the exchange with " + host + " was cancelled"
	case errors.As(err, &tooLarge):
		message = fmt.Sprintf("the reply of %s is larger than %d bytes, which --%s sets", host, tooLarge.Limit, replyFlag)
	case errors.Is(err, errNoRoom):
		message = fmt.Sprintf("the reply of %s is larger than %d bytes, and other large ones left no room to read it in time", host, smallReply)
	case errors.Is(err, errEncoding):
		message = "the reply of " + host + " is compressed in a way that cannot be read"
	case errors.Is(err, io.ErrUnexpectedEOF):
		message = "the reply of " + host + " is cut short"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		message = host + " closed the connection without an answer"
	}
	return &failure{kind: errUnanswered, message: message + "; the request may have been acted on", context: contextError(err)}
}

// unreachable says why no connection could be made.
func unreachable(err error) string {
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		notTLS      tls.RecordHeaderError
		hostname    x509.HostnameError
		operation   *net.OpError
		errno       syscall.Errno
		network     net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "the attempt was cancelled"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &dns):
		return "its name could not be resolved"
	case errors.As(err, &authority):
		return "its certificate is signed by an authority that is not trusted; add the authority with --" + caFileFlag
	case errors.As(err, &hostname):
		return "its certificate is for another name"
	case errors.As(err, &certificate):
		return "its certificate is not accepted: " + certificate.Err.Error()
	case errors.As(err, &notTLS):
		return "it does not speak TLS on this port"
	case errors.As(err, &operation) && operation.Op == "remote error":
		return "it refused the TLS handshake (" + operation.Err.Error() + ")"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &network) && network.Timeout():
		return "no connection in time"
	case errors.Is(err, io.EOF), errors.Is(err, os.ErrClosed):
		return "it closed the connection"
	default:
		return "no connection could be made"
	}
}

// contextError is the context's error that err stems from, if any.
func contextError(err error) error {
	for _, cause := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, cause) {
			return cause
		}
	}
	return nil
}
