// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// The protocol is HTTP with JSON over a unix socket: POST /v1/<operation>, and GET /hello,
// which is the same in every version. A field that one side does not know is ignored, so
// what is added needs no new version; what changes the meaning of a field does.
const (
	oldestProtocol = 1
	newestProtocol = 1

	helloPath    = "/hello"
	checkPath    = "/v1/check"
	exchangePath = "/v1/exchange"
	askPath      = "/v1/ask"
	savedPath    = "/v1/saved"

	// maxMessage bounds a message, either way: a reply of the largest size that may be
	// allowed, in base64 and sealed, and twice in JSON.
	maxMessage = 12 << 20
)

// hello is what a courier says of itself.
type hello struct {
	Oldest   int    `json:"oldest"`
	Newest   int    `json:"newest"`
	Version  string `json:"version"`
	Instance string `json:"instance"`
}

// speaks reports whether both sides know a version of the protocol.
func (h hello) speaks() bool { return h.Oldest <= newestProtocol && h.Newest >= oldestProtocol }

// envelope is a request on its way to the courier.
type envelope struct {
	Method      string       `json:"method"`
	URL         []byte       `json:"url"`
	Host        []byte       `json:"host,omitempty"`
	Header      header       `json:"header,omitempty"`
	Body        []byte       `json:"body,omitempty"`
	Certificate *certificate `json:"certificate,omitempty"`
	SingleUse   bool         `json:"singleUse,omitempty"`
	// Until is when it must have ended. What arrives later is not sent.
	Until   time.Time `json:"until"`
	Attempt *Attempt  `json:"attempt,omitempty"`
	Key     []byte    `json:"key,omitempty"`
}

// certificate is a client certificate, in DER, and its key, in PKCS #8.
type certificate struct {
	Chain [][]byte `json:"chain"`
	Key   []byte   `json:"key"`
}

// result is what came of an operation.
type result struct {
	Instance string          `json:"instance"`
	Failure  *egress.Failure `json:"failure,omitempty"`
	Fate     Fate            `json:"fate,omitempty"`
	// Content is what came of an attempt, sealed.
	Content []byte `json:"content,omitempty"`
	// Outcome is what came of a call without an attempt.
	Outcome *outcome `json:"outcome,omitempty"`
}

// asking is a Question with how long its end is awaited, in milliseconds.
type asking struct {
	Question
	Wait int64 `json:"wait,omitempty"`
}

// savings are attempts whose outcome is saved.
type savings struct {
	Attempts []string `json:"attempts"`
}

func enclose(request *egress.Request, singleUse bool, until time.Time) (*envelope, error) {
	ctx := request.Context()
	e := &envelope{
		Method: request.Method, URL: []byte(request.URL.String()), Host: []byte(request.Host),
		Header: headerOf(request.Header), SingleUse: singleUse, Until: until,
	}
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		if errors.Join(err, request.Body.Close()) != nil {
			return nil, errors.New("the request's body could not be read")
		}
		e.Body = body
	}
	if shown := egress.CertificateOf(ctx); shown != nil {
		key, err := x509.MarshalPKCS8PrivateKey(shown.PrivateKey)
		if err != nil {
			return nil, errors.New("the key of the client certificate is of a kind that cannot be passed on")
		}
		e.Certificate = &certificate{Chain: shown.Certificate, Key: key}
	}
	if attempt, ok := attemptOf(ctx); ok {
		e.Attempt, e.Key = &attempt, []byte(attempt.Key.Reveal())
	}
	return e, nil
}

// request is what the envelope holds. Its errors quote nothing.
func (e *envelope) request(ctx context.Context) (*egress.Request, error) {
	target, err := url.Parse(string(e.URL))
	if err != nil {
		return nil, errors.New("the request's URL cannot be read")
	}
	if e.Certificate != nil {
		key, err := x509.ParsePKCS8PrivateKey(e.Certificate.Key)
		if err != nil || len(e.Certificate.Chain) == 0 {
			return nil, errors.New("the request's client certificate cannot be read")
		}
		ctx = egress.WithCertificate(ctx, &tls.Certificate{Certificate: e.Certificate.Chain, PrivateKey: key})
	}
	if e.Attempt != nil {
		attempt := *e.Attempt
		attempt.Key = secret.New(string(e.Key))
		ctx = WithAttempt(ctx, attempt)
	}
	request, err := http.NewRequestWithContext(ctx, e.Method, "https://placeholder.invalid", nil)
	if err != nil {
		return nil, errors.New("the request's method is none")
	}
	request.URL, request.Host, request.Header = target, string(e.Host), e.Header.http()
	if len(e.Body) > 0 {
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(e.Body)), int64(len(e.Body))
	}
	return request, nil
}

// anotherProtocol says who speaks what.
func anotherProtocol(h hello) error {
	return fmt.Errorf("the courier (%s) speaks protocol %d to %d and the manager %d to %d: run both from the same release, or neighbouring ones",
		h.Version, h.Oldest, h.Newest, oldestProtocol, newestProtocol)
}
