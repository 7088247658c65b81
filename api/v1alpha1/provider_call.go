// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/runtime"

// ProviderCall is one call: the request that is sent and how the reply is read.
type ProviderCall struct {
	// request is what is sent.
	// +required
	Request ProviderRequest `json:"request,omitzero"`

	// response is how the reply is read. All but the calls of revoke need one.
	// +optional
	Response ProviderResponse `json:"response,omitzero"`
}

// ProviderRequest is what is sent. Every string may hold ${...}; a value that is
// an empty optional is left out.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.form) && has(self.json))",message="a request has one body: write form or json, not both"
// +kubebuilder:validation:XValidation:rule="!has(self.method) || self.method != 'GET' || !(has(self.form) || has(self.json))",message="a GET request has no body: use query, or another method"
type ProviderRequest struct {
	// method of the request.
	// +optional
	// +kubebuilder:default=POST
	// +kubebuilder:validation:Enum=GET;POST;PUT;PATCH
	Method string `json:"method,omitempty"`

	// url that is called, without the query. A parameter in its host must have
	// a pattern.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	URL string `json:"url,omitempty"`

	// query is appended to the URL, encoded. A value that is one ${...} and gives a
	// list repeats its key, once for each element.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Query map[string]string `json:"query,omitempty"`

	// form is sent as application/x-www-form-urlencoded. A value that is one ${...}
	// and gives a list repeats its key, once for each element.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Form map[string]string `json:"form,omitempty"`

	// json is sent as application/json. Any value in it may be a ${...} string.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	JSON *runtime.RawExtension `json:"json,omitempty"`

	// headers are sent beside Accept, Content-Type and User-Agent, and override
	// them. Their names are spelled as they are written here (HTTP/2 has lower-case
	// names alone).
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Headers map[string]string `json:"headers,omitempty"`

	// basicAuth is sent as the Authorization header (RFC 7617).
	// +optional
	BasicAuth *BasicAuth `json:"basicAuth,omitempty"`
}

// BasicAuth is HTTP Basic authentication.
type BasicAuth struct {
	// username to send; may be an expression that gives an empty optional, which
	// leaves the header out.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Username string `json:"username,omitempty"`

	// password to send.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Password string `json:"password,omitempty"`

	// formEncoded encodes both values first, as RFC 6749 section 2.3.1 asks.
	// +optional
	FormEncoded bool `json:"formEncoded,omitempty"`
}

// ResponseFormat tells how a reply's body is decoded.
// +kubebuilder:validation:Enum=Auto;JSON;Form
type ResponseFormat string

const (
	// FormatAuto decides by the body's content, whatever its Content-Type.
	FormatAuto ResponseFormat = "Auto"
	// FormatJSON decodes JSON.
	FormatJSON ResponseFormat = "JSON"
	// FormatForm decodes application/x-www-form-urlencoded.
	FormatForm ResponseFormat = "Form"
)

// Expression is a CEL expression.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=4096
type Expression string

// ProviderResponse is how a reply is read. An expression that fails, such as one
// over a missing key, counts as absent, or as false.
type ProviderResponse struct {
	// prefix is stripped once from the start of the body.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Prefix string `json:"prefix,omitempty"`

	// format of the body.
	// +optional
	// +kubebuilder:default=Auto
	Format ResponseFormat `json:"format,omitempty"`

	// success tells whether the reply brings a token. Default: any 2xx status
	// of which no failure rule matches.
	// +optional
	Success Expression `json:"success,omitempty"`

	// accessToken in the reply. refresh and login need it.
	// +optional
	AccessToken Expression `json:"accessToken,omitempty"`

	// refreshToken in the reply; absent or empty keeps the old one.
	// +optional
	RefreshToken Expression `json:"refreshToken,omitempty"`

	// tokenType in the reply. Default: body.token_type, else Bearer.
	// +optional
	TokenType Expression `json:"tokenType,omitempty"`

	// expiresIn is the access token's lifetime: seconds, as a number or a numeric
	// string, or a length or a moment in any notation that has one meaning.
	// +optional
	ExpiresIn Expression `json:"expiresIn,omitempty"`

	// expiresAt is when the access token expires: a timestamp, a number since 1970 (in
	// seconds or smaller units, by its magnitude), or a moment in any notation that has
	// one meaning, such as those of RFC 3339 and RFC 1123. It wins over expiresIn,
	// unless it has passed and that has not.
	// +optional
	ExpiresAt Expression `json:"expiresAt,omitempty"`

	// refreshTokenExpiresIn is the refresh token's lifetime, as in expiresIn. Default,
	// where refreshTokenExpiresAt is not given either: refresh_expires_in,
	// refresh_token_expires_in or x_refresh_token_expires_in of the body.
	// +optional
	RefreshTokenExpiresIn Expression `json:"refreshTokenExpiresIn,omitempty"`

	// refreshTokenExpiresAt is when the refresh token expires, as in expiresAt.
	// +optional
	RefreshTokenExpiresAt Expression `json:"refreshTokenExpiresAt,omitempty"`

	// outputs are further values of the reply that go to the target.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.matches('^[-._a-zA-Z0-9]{1,63}$'))",message="an output becomes a key of the target: its name may hold 63 letters, digits, '-', '_' and '.'"
	Outputs map[string]Expression `json:"outputs,omitempty"`

	// failures classify a reply that is no success; the first that matches
	// wins. Each says that nothing was spent. Where none matches nobody knows
	// whether refresh spent its token; any other call has just failed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Failures []FailureRule `json:"failures,omitempty"`

	// standardFailures adds the rules of a standard behind those of failures. OAuth2
	// has those of an OAuth 2.0 token endpoint: the codes of RFC 6749 section 5.2 and
	// its kin, wherever in a reply they stand, and what HTTP's statuses prove. Default:
	// the rules of failures alone.
	// +optional
	StandardFailures StandardFailures `json:"standardFailures,omitempty"`

	// retryAfter in a failed reply: how long to wait before the next call, in
	// seconds as a number or a numeric string, or as a duration; or the moment of the
	// next call, as in expiresAt. The later of this and the header Retry-After counts,
	// up to a day. Default: where the reply says RateLimited, what servers commonly
	// send in place of that header.
	// +optional
	RetryAfter Expression `json:"retryAfter,omitempty"`

	// message in a failed reply, for people. It is shown shortened and without
	// anything that looks like a secret.
	// +optional
	Message Expression `json:"message,omitempty"`
}

// StandardFailures names the standard that a provider's refusals follow.
// +kubebuilder:validation:Enum=OAuth2
type StandardFailures string

const (
	// OAuth2Failures are those of an OAuth 2.0 token endpoint.
	OAuth2Failures StandardFailures = "OAuth2"
)

// FailureReason is what a failure rule may conclude.
// +kubebuilder:validation:Enum=ReauthorizationRequired;AppRejected;RequestRejected;RateLimited;ProviderUnavailable;SendAgain
type FailureReason string

// SendAgain: nothing was spent, and the reply brings what the same call needs, such
// as a nonce (RFC 9449 section 8) or another host. It is made once more, at once; a
// second such answer counts as RequestRejected.
const SendAgain FailureReason = "SendAgain"

// FailureRule classifies a reply that is no success.
//
// +kubebuilder:validation:XValidation:rule="!has(self.outputs) || self.reason == 'SendAgain'",message="outputs of a failure rule are for the call that is sent again: write reason SendAgain, or leave outputs out"
type FailureRule struct {
	// when is the expression that must be true.
	// +required
	When Expression `json:"when,omitempty"`

	// reason is what the reply means.
	// +required
	Reason FailureReason `json:"reason,omitempty"`

	// outputs of the reply that the call uses, as outputs.<name>, when it is sent
	// again (reason SendAgain). They are not published.
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Outputs map[string]Expression `json:"outputs,omitempty"`
}
