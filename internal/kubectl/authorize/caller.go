// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"
)

const (
	// callTimeout bounds one call, its reply included.
	callTimeout = 30 * time.Second
	// maxReply bounds what is read of a reply.
	maxReply = 1 << 20
)

// Caller sends requests from a person's machine.
type Caller struct {
	Client *http.Client
	// AllowPlainHTTP lets others than this machine be called without TLS.
	AllowPlainHTTP bool
}

// NewClient makes a client that sends each request once: net/http sends a request again by
// itself on a connection that is used a second time, so none is. Redirects are not
// followed, since what is sent holds secrets. roots are trusted; nil: those of the system.
func NewClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			Proxy:             http.ProxyFromEnvironment,
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exchange sends an exchange's request and reads the reply. Its error holds no secret:
// those of net/http quote the URL.
func (c *Caller) exchange(ctx context.Context, exchange *provider.Exchange) (provider.Outcome, error) {
	request, err := exchange.Request(ctx)
	if err != nil {
		return provider.Outcome{}, err
	}
	if err := c.allow(request.URL); err != nil {
		return provider.Outcome{}, err
	}
	response, err := c.Client.Do(request)
	if err != nil {
		return provider.Outcome{}, unreached(request.URL, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	reply := provider.Reply{Status: response.StatusCode, Header: response.Header, Body: body}
	if err != nil || len(body) > maxReply {
		reply.Body, reply.CutShort = body[:min(len(body), maxReply)], true
	}
	return exchange.Read(reply), nil
}

// allow refuses what would send secrets in clear over a network.
func (c *Caller) allow(target *url.URL) error {
	if target.Scheme == "https" || c.AllowPlainHTTP || isLoopback(target.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s is called over plain http, which sends secrets in clear: use https, or allow it with --allow-plain-http", target.Host)
}

func isLoopback(host string) bool {
	address := net.ParseIP(host)
	return host == "localhost" || address != nil && address.IsLoopback()
}

// errUnreached is in the error of a call that got no reply.
var errUnreached = errors.New("no reply came")

func unreached(target *url.URL, err error) error {
	var quoting *url.Error
	if errors.As(err, &quoting) {
		err = quoting.Err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s cannot be called: %w: %w", target.Host, errUnreached, err)
}
