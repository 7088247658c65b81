// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxRequestBody is the most that is read of a request, in bytes.
const maxRequestBody = 1 << 20

// Endpoint names what a call asks for.
type Endpoint string

// The endpoints. The token endpoint of OAuth is Refresh or Login by its
// grant_type; a call that asks for nothing known is Other.
const (
	Refresh Endpoint = "refresh"
	Login   Endpoint = "login"
	Other   Endpoint = "other"
)

// Call is one request as it came, secrets included.
type Call struct {
	// Serial counts the calls from 1.
	Serial   int64     `json:"serial"`
	Time     time.Time `json:"time"` // by the simulator's clock
	Vendor   Vendor    `json:"vendor,omitempty"`
	Endpoint Endpoint  `json:"endpoint"`
	Protocol string    `json:"protocol"` // HTTP/1.1 or HTTP/2.0
	Remote   string    `json:"remote"`   // tells connections apart
	Method   string    `json:"method"`
	Host     string    `json:"host"` // without the port
	Path     string    `json:"path"`
	// Query and Body are as they came, not decoded.
	Query  string      `json:"query,omitempty"`
	Header http.Header `json:"header"`
	Body   string      `json:"body,omitempty"`
	// RefreshToken that was sent, and the Grant it is or was of, if any; in the
	// log also the grant that a login began.
	RefreshToken string `json:"refreshToken,omitempty"`
	Grant        string `json:"grant,omitempty"`

	mediaType string
	query     url.Values
	form      url.Values     // nil: the body is no form
	object    map[string]any // nil: the body is no JSON object
}

// newCall reads a request. It fails where the body does not arrive whole.
func (s *Simulator) newCall(options *Options, r *http.Request) (Call, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody))
	if err != nil {
		return Call{}, err
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	call := Call{
		Time: options.Clock(), Protocol: r.Proto, Remote: r.RemoteAddr, Method: r.Method, Host: strings.ToLower(host),
		Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header, Body: string(body),
	}
	call.decode()
	call.Vendor, call.Endpoint = options.route(call)
	call.RefreshToken = call.refreshToken()
	if call.RefreshToken != "" {
		if t := s.tokens.find(call.RefreshToken); t != nil && t.refresh {
			call.Grant = t.family.grant.ID
		}
	}
	return call, nil
}

// decode parses the query and, by its Content-Type, the body.
func (c *Call) decode() {
	if values, err := url.ParseQuery(c.Query); err == nil {
		c.query = values
	}
	mediaType, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil {
		return
	}
	c.mediaType = mediaType
	switch mediaType {
	case "application/x-www-form-urlencoded":
		if values, err := url.ParseQuery(c.Body); err == nil {
			c.form = values
		}
	case "application/json":
		_ = json.Unmarshal([]byte(c.Body), &c.object) // nil where it is no object
	}
}

// field is a text of the body, JSON or form.
func (c *Call) field(name string) string {
	if c.form != nil {
		return c.form.Get(name)
	}
	text, _ := c.object[name].(string)
	return text
}

// bearer is the token of the Authorization header (RFC 6750 section 2.1).
func (c *Call) bearer() string {
	token, is := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
	if !is {
		return ""
	}
	return token
}

// refreshToken is what the call would refresh with.
func (c *Call) refreshToken() string {
	if c.Endpoint != Refresh {
		return ""
	}
	switch c.Vendor {
	case MCS:
		return c.field("token")
	case Xiaomi:
		return c.query.Get("refresh_token")
	case OracleStore, OracleAdmin:
		return c.bearer()
	default:
		return c.form.Get("refresh_token")
	}
}

// route tells whom a call is for: by its path and, where Xiaomi's is the OAuth
// server's too, by the host, and on another host by the method.
func (o *Options) route(call Call) (Vendor, Endpoint) {
	switch call.Path {
	case "/oauth/login/thirdparty", "/oauth/login/thirdpart":
		return MCS, Login
	case "/oauth/login/thirdparty/refresh", "/oauth/login/thirdpart/refresh":
		return MCS, Refresh
	case "/ccstore/v1/refresh":
		return OracleStore, Refresh
	case "/ccstore/v1/login":
		return OracleStore, Login
	case "/ccadmin/v1/refresh":
		return OracleAdmin, Refresh
	case "/ccadmin/v1/login":
		return OracleAdmin, Login
	case "/oauth2/token":
		if call.Host == XiaomiHost || call.Method == http.MethodGet {
			return Xiaomi, Refresh
		}
	}
	if slices.Contains(o.OAuth.Paths, call.Path) {
		switch call.form.Get("grant_type") {
		case "refresh_token":
			return OAuth, Refresh
		case "client_credentials":
			return OAuth, Login
		default:
			return OAuth, Other
		}
	}
	return "", Other
}
