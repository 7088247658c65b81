// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"slices"
	"strings"
)

// letters is a text of a given length.
func letters(length int) string { return strings.Repeat("a", length) }

// entries is a map of a given size, whose values are all the same.
func entries(size int, value string) map[string]any {
	result := make(map[string]any, size)
	for i := range size {
		result[fmt.Sprintf("key%d", i)] = value
	}
	return result
}

// items is a list of a given length.
func items(length int, item func(i int) any) []any {
	result := make([]any, 0, length)
	for i := range length {
		result = append(result, item(i))
	}
	return result
}

// name is item's usual result: a text that no other item has.
func name(i int) any { return fmt.Sprintf("name%d", i) }

func required(field string) validation {
	at := strings.LastIndex(field, ".")
	return validation{field[:max(at, 0)], "required " + field[at+1:], nil, edit{field: nil}, field + ": Required value"}
}

// tooLong is what API servers of all minors say of a text that is longer than its maxLength:
// how much it may be, they say in different words.
const tooLong = ": Too long: may not be "

func maxLength(field string, length int) validation {
	return validation{
		field, "maxLength", edit{field: letters(length)}, edit{field: letters(length + 1)},
		field + tooLong,
	}
}

func maxProperties(field string, size int, value string) validation {
	return validation{
		field, "maxProperties", edit{field: entries(size, value)}, edit{field: entries(size+1, value)},
		fmt.Sprintf("%s: Too many: %d: must have at most %d items", field, size+1, size),
	}
}

func enum(field string, allowed ...string) []validation {
	quoted := make([]string, 0, len(allowed))
	for _, value := range allowed {
		quoted = append(quoted, fmt.Sprintf("%q", value))
	}
	message := fmt.Sprintf(`%s: Unsupported value: "Other": supported values: %s`, field, strings.Join(quoted, ", "))
	var validations []validation
	for _, value := range allowed {
		validations = append(validations, validation{field, "enum", edit{field: value}, edit{field: "Other"}, message})
	}
	return validations
}

// text is the rules of a field of bounded length that matches a pattern.
func text(field string, length int, allowed, refused, message string) []validation {
	return []validation{
		maxLength(field, length),
		{field, "minLength", edit{field: "a"}, edit{field: ""}, field + ": Invalid value: \"\": " + field + " in body should be at least 1 chars long"},
		{field, "rule", edit{field: allowed}, edit{field: refused}, message},
	}
}

func secretName(field string) []validation {
	const message = "write a Secret's name: lower-case letters, digits, '-' and '.', at most 253 characters"
	return append(text(field, 253, "a-1.b", "-a", message),
		validation{field, "rule", edit{field: "a.b"}, edit{field: "a..b"}, message},
		validation{field, "rule", edit{field: "a-b"}, edit{field: "A"}, message},
		validation{field, "rule", edit{field: "token-state"}, edit{field: "other-token-state"},
			"name another Secret: those whose names end with -token-state hold refresh tokens, and are the operator's alone"})
}

func secretKey(field string) []validation {
	return text(field, 253, "._-Az09", "a/b", "write a key of a Secret: letters, digits, '-', '_' and '.'")
}

func duration(field string) []validation {
	const message = "write a duration such as 90s, 5m or 1h30m, of at most 99999h"
	return []validation{
		{field, "maxLength", edit{field: strings.Repeat("1s", 16)}, edit{field: strings.Repeat("1s", 16) + "1s"}, field + tooLong},
		{field, "rule", edit{field: "1h30m"}, edit{field: "5"}, message},
		{field, "rule", edit{field: "1.5s"}, edit{field: "-5m"}, message},
		{field, "rule", edit{field: "100ms"}, edit{field: "1d"}, message},
		{field, "rule", edit{field: "99999h"}, edit{field: "100000h"}, message},
		{field, "rule", edit{field: "9999999m"}, edit{field: "10000000m"}, message},
		{field, "rule", edit{field: "999999999s"}, edit{field: "1000000000s"}, message},
	}
}

func expression(field string) []validation {
	return []validation{
		maxLength(field, 4096),
		{field, "minLength", edit{field: "a"}, edit{field: ""}, field + " in body should be at least 1 chars long"},
	}
}

func credentialValidations() []validation {
	target := "(spec.target.name, by default metadata.name): set spec.target.name to another Secret"
	return slices.Concat(
		[]validation{
			{"object", "required spec", nil, edit{"spec": nil}, "spec: Required value"},
			{"object", "rule", edit{"metadata.name": letters(241)}, edit{"metadata.name": letters(242)},
				"metadata.name must be at most 241 characters, since the state Secret is named after it"},
			{"object", "rule", edit{"metadata.name": "other-token-state"}, edit{"metadata.name": "other-token-state", "spec.target.name": nil},
				"set spec.target.name: by default the target is named after the credential, and only the Secrets that hold refresh tokens have names that end with -token-state"},
			{"object", "rule", edit{"metadata.name": "other-token-states", "spec.target": nil}, edit{"metadata.name": "other-token-state", "spec.target": nil},
				"set spec.target.name: by default the target is named after the credential, and only the Secrets that hold refresh tokens have names that end with -token-state"},
			{"object", "rule", edit{"spec.appSecretRef.name": "shop"}, edit{"spec.appSecretRef.name": "shop-token"},
				"spec.appSecretRef.name must differ from the target's name " + target},
			{"object", "rule", edit{"spec.refreshTokenSecretRef.name": "shop"}, edit{"spec.refreshTokenSecretRef.name": "shop-token"},
				"spec.refreshTokenSecretRef.name must differ from the target's name " + target},
			{"object", "rule", edit{"spec.loginSecretRef.name": "shop"}, edit{"spec.loginSecretRef.name": "shop-token"},
				"spec.loginSecretRef.name must differ from the target's name " + target},
			{"object", "rule", edit{"spec.clientCertificateSecretRef.name": "shop"}, edit{"spec.clientCertificateSecretRef.name": "shop-token"},
				"spec.clientCertificateSecretRef.name must differ from the target's name " + target},
			{"object", "rule", edit{"spec.target": nil}, edit{"spec.target": nil, "spec.appSecretRef.name": "shop"},
				"spec.appSecretRef.name must differ from the target's name " + target},
		},
		[]validation{required("spec.providerRef"), required("spec.providerRef.name")},
		enum("spec.providerRef.kind", "BuiltIn", "ClusterTokenProvider"),
		text("spec.providerRef.name", 253, "oauth2-client-credentials", "Xiaomi",
			"write a provider's name: lower-case letters, digits, '-' and '.', such as xiaomi"),
		[]validation{
			maxProperties("spec.parameters", 64, "a"),
			{"spec.parameters", "rule", edit{"spec.parameters.a": letters(2048)}, edit{"spec.parameters.a": letters(2049)},
				"a parameter's value must be at most 2048 characters"},
			{"spec.parameters", "rule", edit{"spec.parameters": map[string]any{letters(63): "a"}}, edit{"spec.parameters": map[string]any{letters(64): "a"}},
				"a parameter's name must be at most 63 characters"},
		},
		[]validation{required("spec.appSecretRef.name")},
		secretName("spec.appSecretRef.name"),
		secretKey("spec.appSecretRef.keyField"),
		secretKey("spec.appSecretRef.secretField"),
		[]validation{required("spec.refreshTokenSecretRef.name")},
		secretName("spec.refreshTokenSecretRef.name"),
		secretKey("spec.refreshTokenSecretRef.key"),
		[]validation{required("spec.loginSecretRef.name")},
		secretName("spec.loginSecretRef.name"),
		[]validation{required("spec.clientCertificateSecretRef.name")},
		secretName("spec.clientCertificateSecretRef.name"),
		text("spec.serviceAccountName", 253, "a-1.b", "-a", "write a service account's name: lower-case letters, digits, '-' and '.', at most 253 characters"),
		[]validation{
			{"spec.renewal.percentage", "minimum", edit{"spec.renewal.percentage": int64(1)}, edit{"spec.renewal.percentage": int64(0)},
				"spec.renewal.percentage in body should be greater than or equal to 1"},
			{"spec.renewal.percentage", "maximum", edit{"spec.renewal.percentage": int64(99)}, edit{"spec.renewal.percentage": int64(100)},
				"spec.renewal.percentage in body should be less than or equal to 99"},
		},
		duration("spec.renewal.before"),
		duration("spec.renewal.atLeastEvery"),
		enum("spec.onUnknownOutcome", "Hold", "RetryOnce"),
		secretName("spec.target.name"),
		enum("spec.target.creationPolicy", "Owner", "Merge"),
		templateValidations("spec.target.template"),
	)
}

func templateValidations(template string) []validation {
	kind, data := template+".type", template+".data"
	labels, annotations := template+".metadata.labels", template+".metadata.annotations"
	const (
		dataMessage          = "a key of data may hold at most 253 letters, digits, '-', '_' and '.'"
		labelKeyMessage      = "write a label's key like app or example.com/app"
		labelValueMessage    = "a label's value must be at most 63 characters"
		annotationKeyMessage = "write an annotation's key like note or example.com/note"

		labelDomainMessage      = "a template sets no label of tokenkeeper.io, kubernetes.io or k8s.io, but for app.kubernetes.io/... and kubernetes.io/description"
		annotationDomainMessage = "a template sets no annotation of tokenkeeper.io, kubernetes.io or k8s.io, but for app.kubernetes.io/... and kubernetes.io/description"

		dockerMessage = "a target of type kubernetes.io/dockerconfigjson needs data['.dockerconfigjson']"
		basicMessage  = "a target of type kubernetes.io/basic-auth needs data.username or data.password"
		docker        = "kubernetes.io/dockerconfigjson"
		basic         = "kubernetes.io/basic-auth"
	)
	with := func(key string) map[string]any { return map[string]any{key: "a"} }
	is := func(value string) map[string]any { return map[string]any{"a": value} }
	return []validation{
		{kind, "enum", edit{kind: "Opaque"}, edit{kind: "kubernetes.io/service-account-token"},
			kind + `: Unsupported value: "kubernetes.io/service-account-token": supported values: "Opaque", "kubernetes.io/dockerconfigjson", "kubernetes.io/basic-auth"`},
		{template, "rule", edit{kind: docker, data: with(".dockerconfigjson")}, edit{kind: docker}, dockerMessage},
		{template, "rule", edit{kind: docker, data: with(".dockerconfigjson")}, edit{kind: docker, data: nil}, dockerMessage},
		{template, "rule", edit{kind: basic, data: with("password")}, edit{kind: basic}, basicMessage},
		{template, "rule", edit{kind: basic, data: with("username")}, edit{kind: basic, data: nil}, basicMessage},
		maxProperties(data, 64, "a"),
		{data, "rule", edit{data: with("._-Az09")}, edit{data: with("a/b")}, dataMessage},
		{data, "rule", edit{data: with(letters(253))}, edit{data: with(letters(254))}, dataMessage},
		{data, "rule", edit{data: is(letters(8192))}, edit{data: is(letters(8193))}, "a value of data must be at most 8192 characters"},
		{data, "rule", edit{data: values(8, 8192)}, edit{data: values(9, 8192)}, "the values of data must be at most 65536 characters together"},
		maxProperties(labels, 64, "a"),
		{labels, "rule", edit{labels: with("example.com/App_1")}, edit{labels: with("a b")}, labelKeyMessage},
		{labels, "rule", edit{labels: is(letters(63))}, edit{labels: is(letters(64))}, labelValueMessage},
		{labels, "rule", edit{labels: map[string]any{"app.kubernetes.io/name": "a", "kubernetes.io/description": "a", "external-secrets.io/type": "webhook", "cluster.x-k8s.io/a": "a"}},
			edit{labels: with("kubernetes.io/a")}, labelDomainMessage},
		{labels, "rule", nil, edit{labels: with("token.tokenkeeper.io/live")}, labelDomainMessage},
		{labels, "rule", nil, edit{labels: with("addonmanager.kubernetes.io/mode")}, labelDomainMessage},
		{labels, "rule", nil, edit{labels: with("k8s.io/a")}, labelDomainMessage},
		maxProperties(annotations, 64, "a"),
		{annotations, "rule", edit{annotations: map[string]any{"app.kubernetes.io/name": "a", "kubernetes.io/description": "a", "argocd.argoproj.io/a": "a"}},
			edit{annotations: with("kubernetes.io/service-account.name")}, annotationDomainMessage},
		{annotations, "rule", nil, edit{annotations: with("TokenKeeper.io/credential")}, annotationDomainMessage},
		{annotations, "rule", nil, edit{annotations: with("kubernetes.io/Description")}, annotationDomainMessage},
		{annotations, "rule", edit{annotations: map[string]any{"example.com/note": "any text, ${even} this"}}, edit{annotations: with("a b")}, annotationKeyMessage},
	}
}

// values are so many values of so many characters.
func values(count, size int) map[string]any {
	all := map[string]any{}
	for i := range count {
		all[fmt.Sprint("key", i)] = letters(size)
	}
	return all
}

func providerValidations() []validation {
	return slices.Concat(
		[]validation{
			{"object", "required spec", nil, edit{"spec": nil}, "spec: Required value"},
			{"spec", "rule", edit{"spec.refresh": nil}, edit{"spec.refresh": nil, "spec.login": nil}, "describe at least one of refresh and login"},
			{"spec", "rule", edit{"spec.login": nil}, edit{"spec.refresh": nil, "spec.login": nil}, "describe at least one of refresh and login"},
			maxLength("spec.description", 1024),
			maxLength("spec.documentation", 1024),
		},
		namespaceValidations("spec.namespaces"),
		enum("spec.inputs.app", "Required", "Optional", "None"),
		enum("spec.inputs.refreshToken", "Required", "Optional", "None"),
		loginKeyValidations("spec.inputs.login"),
		enum("spec.inputs.clientCertificate", "Required", "Optional", "None"),
		serviceAccountTokenValidations("spec.inputs.serviceAccountToken"),
		parameterValidations("spec.inputs.parameters"),
		callValidations("spec.refresh"),
		callValidations("spec.login"),
		stepValidations(),
		authorizeValidations("spec.authorize"),
		[]validation{
			{"spec.renewal.earliestPercentage", "minimum", edit{"spec.renewal.earliestPercentage": int64(0)}, edit{"spec.renewal.earliestPercentage": int64(-1)},
				"spec.renewal.earliestPercentage in body should be greater than or equal to 0"},
			{"spec.renewal.earliestPercentage", "maximum", edit{"spec.renewal.earliestPercentage": int64(99)}, edit{"spec.renewal.earliestPercentage": int64(100)},
				"spec.renewal.earliestPercentage in body should be less than or equal to 99"},
		},
		enum("spec.rotation.mode", "Auto", "SingleUse", "Reusable"),
		duration("spec.rotation.reuseWindow"),
		enum("spec.rotation.onUnknownOutcome", "Hold", "RetryOnce"),
		duration("spec.lifetime.accessToken"),
		duration("spec.lifetime.refreshToken"),
		[]validation{
			required("spec.rateLimit.requests"),
			{"spec.rateLimit.requests", "minimum", edit{"spec.rateLimit.requests": int64(1)}, edit{"spec.rateLimit.requests": int64(0)},
				"spec.rateLimit.requests in body should be greater than or equal to 1"},
			{"spec.rateLimit.requests", "maximum", edit{"spec.rateLimit.requests": int64(1000000)}, edit{"spec.rateLimit.requests": int64(1000001)},
				"spec.rateLimit.requests in body should be less than or equal to 1000000"},
		},
		duration("spec.rateLimit.per"),
	)
}

func loginKeyValidations(field string) []validation {
	one := func(key string) edit { return edit{field: []any{key}} }
	return []validation{
		{field, "maxItems", edit{field: items(16, name)}, edit{field: items(17, name)}, field + ": Too many: 17: must have at most 16 items"},
		{field, "list type set", one("email"), edit{field: []any{"email", "email"}}, field + `[1]: Duplicate value: "email"`},
		{field + "[]", "minLength", one("a"), one(""), field + "[0] in body should be at least 1 chars long"},
		{field + "[]", "maxLength", one(letters(253)), one(letters(254)), field + "[0]" + tooLong},
		{field + "[]", "rule", one("._-Az09"), one("a/b"), "write a key of a Secret: letters, digits, '-', '_' and '.'"},
	}
}

func parameterValidations(field string) []validation {
	one := func(parameter map[string]any) edit { return edit{field: []any{parameter}} }
	with := func(key string, value any) edit { return one(map[string]any{"name": "a", key: value}) }
	named := func(name string) edit { return one(map[string]any{"name": name}) }
	item := func(i int) any { return map[string]any{"name": name(i)} }
	return []validation{
		{field, "maxItems", edit{field: items(64, item)}, edit{field: items(65, item)}, field + ": Too many: 65: must have at most 64 items"},
		{field, "list type map", named("a"), edit{field: []any{item(1), item(1)}}, field + `[1]: Duplicate value: `},
		{field + "[]", "required name", named("a"), one(map[string]any{"pattern": "a"}), field + "[0].name: Required value"},
		{field + "[]", "rule", with("default", "b"), one(map[string]any{"name": "a", "required": true, "default": "b"}),
			"a parameter with a default is never missing: leave out required or default"},
		{field + "[].name", "minLength", named("a"), named(""), field + "[0].name in body should be at least 1 chars long"},
		{field + "[].name", "maxLength", named(letters(63)), named(letters(64)), field + "[0].name" + tooLong},
		{field + "[].name", "rule", named("_redirectURI2"), named("redirect-uri"), "write a name of letters, digits and '_', such as redirectURI"},
		{field + "[].name", "rule", named("a"), named("2a"), "write a name of letters, digits and '_', such as redirectURI"},
		{field + "[].description", "maxLength", with("description", letters(1024)), with("description", letters(1025)),
			field + "[0].description" + tooLong},
		{field + "[].default", "maxLength", with("default", letters(2048)), with("default", letters(2049)),
			field + "[0].default" + tooLong},
		{field + "[].pattern", "maxLength", with("pattern", letters(1024)), with("pattern", letters(1025)),
			field + "[0].pattern" + tooLong},
	}
}

func callValidations(call string) []validation {
	return slices.Concat(
		[]validation{
			required(call + ".request"),
			{call, "rule", nil, edit{call + ".response": nil}, "say where the reply holds the access token: write response.accessToken, such as body.access_token"},
			{call, "rule", nil, edit{call + ".response.accessToken": nil}, "say where the reply holds the access token: write response.accessToken, such as body.access_token"},
		},
		requestValidations(call+".request"),
		responseValidations(call+".response"),
	)
}

func requestValidations(request string) []validation {
	method, url, form, json := request+".method", request+".url", request+".form", request+".json"
	const (
		oneBody = "a request has one body: write form or json, not both"
		noBody  = "a GET request has no body: use query, or another method"
	)
	body := map[string]any{"a": map[string]any{"b": []any{"${refreshToken}", int64(1)}}}
	return slices.Concat(
		[]validation{
			{request, "rule", edit{form: nil, json: body}, edit{json: body}, oneBody},
			{request, "rule", edit{form: nil, method: "GET"}, edit{method: "GET"}, noBody},
			{request, "rule", edit{form: nil, json: body, method: "PUT"}, edit{form: nil, json: body, method: "GET"}, noBody},
			required(url),
			maxLength(url, 4096),
			{url, "minLength", edit{url: "a"}, edit{url: ""}, url + " in body should be at least 1 chars long"},
			maxProperties(request+".query", 64, "a"),
			maxProperties(form, 64, "a"),
			maxProperties(request+".headers", 64, "a"),
			maxLength(request+".basicAuth.username", 4096),
			maxLength(request+".basicAuth.password", 4096),
			{method, "enum", edit{method: "PATCH"}, edit{method: "DELETE"},
				method + `: Unsupported value: "DELETE": supported values: "GET", "POST", "PUT", "PATCH"`},
		},
	)
}

func responseValidations(response string) []validation {
	failures, outputs := response+".failures", response+".outputs"
	rule := func(when, reason string) edit {
		return edit{failures: []any{map[string]any{"when": when, "reason": reason}}}
	}
	item := func(int) any { return map[string]any{"when": "true", "reason": "RateLimited"} }
	validations := []validation{
		maxLength(response+".prefix", 256),
		maxProperties(outputs, 32, "body.a"),
		{outputs, "rule", edit{outputs: map[string]any{letters(63): "a"}}, edit{outputs: map[string]any{letters(64): "a"}}, "an output becomes a key of the target: its name may hold 63 letters, digits, '-', '_' and '.'"},
		{outputs + "{}", "minLength", edit{outputs + ".a": "b"}, edit{outputs + ".a": ""}, outputs + ".a in body should be at least 1 chars long"},
		{outputs + "{}", "maxLength", edit{outputs + ".a": letters(4096)}, edit{outputs + ".a": letters(4097)},
			outputs + ".a" + tooLong},
		{failures, "maxItems", edit{failures: items(64, item)}, edit{failures: items(65, item)}, failures + ": Too many: 65: must have at most 64 items"},
		{failures + "[]", "required when", nil, edit{failures: []any{map[string]any{"reason": "RateLimited"}}}, failures + "[0].when: Required value"},
		{failures + "[]", "required reason", nil, edit{failures: []any{map[string]any{"when": "true"}}}, failures + "[0].reason: Required value"},
		{failures + "[].when", "minLength", rule("a", "RateLimited"), rule("", "RateLimited"), failures + "[0].when in body should be at least 1 chars long"},
		{failures + "[].when", "maxLength", rule(letters(4096), "RateLimited"), rule(letters(4097), "RateLimited"),
			failures + "[0].when" + tooLong},
	}
	again := func(outputs map[string]any) edit {
		return edit{failures: []any{map[string]any{"when": "true", "reason": "SendAgain", "outputs": outputs}}}
	}
	validations = append(validations,
		validation{failures + "[]", "rule", again(entries(1, "a")), edit{failures: []any{map[string]any{"when": "true", "reason": "RateLimited", "outputs": entries(1, "a")}}},
			"outputs of a failure rule are for the call that is sent again: write reason SendAgain, or leave outputs out"},
		validation{failures + "[].outputs", "maxProperties", again(entries(8, "a")), again(entries(9, "a")), failures + "[0].outputs: Too many: 9: must have at most 8 items"},
		validation{failures + "[].outputs{}", "minLength", again(entries(1, "a")), again(entries(1, "")), failures + "[0].outputs.key0 in body should be at least 1 chars long"},
		validation{failures + "[].outputs{}", "maxLength", again(entries(1, letters(4096))), again(entries(1, letters(4097))), failures + "[0].outputs.key0" + tooLong},
	)
	for _, reason := range []string{"ReauthorizationRequired", "AppRejected", "RequestRejected", "RateLimited", "ProviderUnavailable", "SendAgain"} {
		validations = append(validations, validation{failures + "[].reason", "enum", rule("a", reason), rule("a", "OutcomeUnknown"),
			failures + `[0].reason: Unsupported value: "OutcomeUnknown": supported values: ` +
				`"ReauthorizationRequired", "AppRejected", "RequestRejected", "RateLimited", "ProviderUnavailable", "SendAgain"`})
	}
	validations = append(validations, enum(response+".format", "Auto", "JSON", "Form")...)
	validations = append(validations, enum(response+".standardFailures", "OAuth2")...)
	for _, field := range []string{
		"success", "accessToken", "refreshToken", "tokenType", "expiresIn", "expiresAt",
		"refreshTokenExpiresIn", "refreshTokenExpiresAt", "retryAfter", "message",
	} {

		validations = append(validations, expression(response+"."+field)...)
	}
	return validations
}

func serviceAccountTokenValidations(field string) []validation {
	audience, seconds := field+".audience", field+".expirationSeconds"
	return []validation{
		required(audience),
		maxLength(audience, 2048),
		{audience, "minLength", edit{audience: "a"}, edit{audience: ""}, audience + " in body should be at least 1 chars long"},
		{seconds, "minimum", edit{seconds: int64(600)}, edit{seconds: int64(599)}, seconds + " in body should be greater than or equal to 600"},
		{seconds, "maximum", edit{seconds: int64(86400)}, edit{seconds: int64(86401)}, seconds + " in body should be less than or equal to 86400"},
	}
}

// stepValidations are the rules of prepare and finish beside those of every call.
func stepValidations() []validation {
	calls := func(count int, response map[string]any) []any {
		return items(count, func(int) any {
			return map[string]any{"request": map[string]any{"url": "https://x/"}, "response": response}
		})
	}
	outputs := map[string]any{"a": "body.a"}
	useful := map[string]any{"outputs": outputs}
	validations := []validation{
		{"spec.prepare", "rule", edit{"spec.prepare": calls(1, useful)}, edit{"spec.prepare": calls(1, map[string]any{})},
			"a call of prepare is for its outputs: write response.outputs"},
		{"spec.prepare", "rule", nil, edit{"spec.prepare": calls(1, map[string]any{"outputs": map[string]any{}})},
			"a call of prepare is for its outputs: write response.outputs"},
		{"spec.prepare", "rule", nil, edit{"spec.prepare": calls(1, map[string]any{"outputs": outputs, "accessToken": "body.a"})},
			"a call of prepare brings no token to publish: write response.outputs in place of accessToken and refreshToken"},
		{"spec.prepare", "rule", nil, edit{"spec.prepare": calls(1, map[string]any{"outputs": outputs, "refreshToken": "body.a"})},
			"a call of prepare brings no token to publish: write response.outputs in place of accessToken and refreshToken"},
		{"spec.finish", "rule", edit{"spec.finish": calls(1, useful)}, edit{"spec.finish": calls(1, map[string]any{})},
			"a call of finish is for what it brings: write response.accessToken, response.outputs or both"},
		{"spec.finish", "rule", nil, edit{"spec.finish": calls(1, map[string]any{"outputs": outputs, "refreshToken": "body.a"})},
			"a call of finish comes after the refresh token has been saved: map refreshToken in refresh or login"},
	}
	for _, field := range []string{"spec.prepare", "spec.finish"} {
		validations = append(validations, validation{field, "maxItems", edit{field: calls(4, useful)}, edit{field: calls(5, useful)}, field + ": Too many: 5: must have at most 4 items"})
	}
	return validations
}

func authorizeValidations(field string) []validation {
	url, query, code, device := field+".url", field+".query", field+".code", field+".device"
	const (
		both   = "url and code belong together: the page where a person grants access, and the call that turns the code it gives into tokens"
		either = "describe url and code, device, or both"
		page   = "query is what url is called with: write url, or leave query out"
		tokens = "say where the reply holds the tokens: write response.refreshToken, such as body.?refresh_token, and response.accessToken"
	)
	withoutPage := edit{url: nil, code: nil, query: nil}
	validations := []validation{
		{field, "rule", withoutPage, edit{code: nil}, both},
		{field, "rule", nil, edit{url: nil, query: nil}, both},
		{field, "rule", edit{device: nil}, edit{url: nil, code: nil, query: nil, device: nil}, either},
		{field, "rule", nil, edit{url: nil, code: nil}, page},
		maxLength(url, 4096),
		{url, "minLength", edit{url: "a"}, edit{url: ""}, url + " in body should be at least 1 chars long"},
		maxProperties(query, 64, "a"),
		{code, "rule", edit{code + ".response": map[string]any{"accessToken": "a"}}, edit{code + ".response": nil}, tokens},
		{device + ".token", "rule", edit{device + ".token.response": map[string]any{"accessToken": "a"}}, edit{device + ".token.response": nil}, tokens},
		required(device + ".request"),
		required(device + ".token"),
	}
	for _, name := range []string{"deviceCode", "userCode", "verificationURI", "verificationURIComplete", "interval", "expiresIn"} {
		validations = append(validations, expression(device+".response."+name)...)
	}
	return append(validations, enum(field+".pkce", "S256", "None")...)
}
