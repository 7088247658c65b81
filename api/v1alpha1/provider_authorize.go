// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ProviderAuthorize says how a person grants access: in a browser that comes back with
// a code (RFC 6749 section 4.1), on another device (RFC 8628), or either. Requests
// have further variables here: authorization.redirectURI, authorization.state,
// authorization.scope, authorization.codeChallenge, authorization.codeVerifier,
// authorization.code and authorization.deviceCode, each where it is known.
//
// +kubebuilder:validation:XValidation:rule="has(self.url) == has(self.code)",message="url and code belong together: the page where a person grants access, and the call that turns the code it gives into tokens"
// +kubebuilder:validation:XValidation:rule="has(self.url) || has(self.device)",message="describe url and code, device, or both"
// +kubebuilder:validation:XValidation:rule="!has(self.query) || has(self.url)",message="query is what url is called with: write url, or leave query out"
type ProviderAuthorize struct {
	// url of the page where a person grants access, without the query.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	URL string `json:"url,omitempty"`

	// query is appended to the URL, encoded. It is sent as it is written here: with
	// response_type, client_id, redirect_uri, state and whatever else the provider
	// takes.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Query map[string]string `json:"query,omitempty"`

	// pkce is the proof that whoever sends the code also asked for it (RFC 7636).
	// With S256, the default, query uses authorization.codeChallenge and code uses
	// authorization.codeVerifier.
	// +optional
	// +kubebuilder:default=S256
	PKCE PKCEMethod `json:"pkce,omitempty"`

	// code is the call that turns authorization.code into tokens. Its response
	// needs refreshToken, accessToken or both.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.response) && (has(self.response.refreshToken) || has(self.response.accessToken))",message="say where the reply holds the tokens: write response.refreshToken, such as body.?refresh_token, and response.accessToken"
	Code *ProviderCall `json:"code,omitempty"`

	// device is the grant for a device without a browser (RFC 8628).
	// +optional
	Device *ProviderDevice `json:"device,omitempty"`
}

// PKCEMethod is how a code is bound to whoever asked for it (RFC 7636).
// +kubebuilder:validation:Enum=S256;None
type PKCEMethod string

const (
	// PKCES256 sends the SHA-256 of a random text first, and the text later.
	PKCES256 PKCEMethod = "S256"
	// PKCENone does without.
	PKCENone PKCEMethod = "None"
)

// ProviderDevice is how a person grants access on another device (RFC 8628).
type ProviderDevice struct {
	// request for a code that the person types in.
	// +required
	Request ProviderRequest `json:"request,omitzero"`

	// response is how the reply to it is read.
	// +optional
	Response DeviceResponse `json:"response,omitzero"`

	// token is the call that is repeated, with authorization.deviceCode, until the
	// person has granted access. What a failure rule calls ProviderUnavailable
	// (authorization_pending) or RateLimited (slow_down) is asked again.
	// +required
	// +kubebuilder:validation:XValidation:rule="has(self.response) && (has(self.response.refreshToken) || has(self.response.accessToken))",message="say where the reply holds the tokens: write response.refreshToken, such as body.?refresh_token, and response.accessToken"
	Token ProviderCall `json:"token,omitzero"`
}

// DeviceResponse is how the reply to a device's request is read. What is left out is
// read where RFC 8628 section 3.2 puts it.
type DeviceResponse struct {
	// deviceCode in the reply. Default: body.device_code.
	// +optional
	DeviceCode Expression `json:"deviceCode,omitempty"`

	// userCode in the reply, which the person types in. Default: body.user_code.
	// +optional
	UserCode Expression `json:"userCode,omitempty"`

	// verificationURI in the reply: where the person types the code in. Default:
	// body.verification_uri.
	// +optional
	VerificationURI Expression `json:"verificationURI,omitempty"`

	// verificationURIComplete in the reply: the same with the code in it. Default:
	// body.?verification_uri_complete.
	// +optional
	VerificationURIComplete Expression `json:"verificationURIComplete,omitempty"`

	// interval in the reply, in seconds: the pause between two calls of token.
	// Default: body.?interval, else 5.
	// +optional
	Interval Expression `json:"interval,omitempty"`

	// expiresIn in the reply, in seconds: how long the codes live. Default:
	// body.?expires_in.
	// +optional
	ExpiresIn Expression `json:"expiresIn,omitempty"`
}
