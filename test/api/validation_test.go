// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	stdcmp "cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const credentialManifest = `
apiVersion: tokenkeeper.io/v1alpha1
kind: TokenCredential
metadata: {name: shop, namespace: default}
spec:
  providerRef: {kind: BuiltIn, name: xiaomi}
  parameters: {redirectURI: "https://shop.example/callback"}
  appSecretRef: {name: shop-app, keyField: app_key, secretField: app_secret}
  refreshTokenSecretRef: {name: shop-refresh, key: refresh_token, writeBack: false}
  loginSecretRef: {name: shop-login}
  clientCertificateSecretRef: {name: shop-tls}
  serviceAccountName: shop
  renewal: {percentage: 80, before: 5m, atLeastEvery: 24h}
  onUnknownOutcome: Hold
  target:
    name: shop-token
    creationPolicy: Owner
    template:
      type: Opaque
      metadata: {labels: {a: b}, annotations: {c: d}}
      data: {AUTHORIZATION: "Bearer ${accessToken}"}
  revokeOnDeletion: true
  suspend: false
`

const providerManifest = `
apiVersion: tokenkeeper.io/v1alpha1
kind: ClusterTokenProvider
metadata: {name: example}
spec:
  description: An example
  documentation: https://auth.example.com/docs
  inputs:
    app: Required
    refreshToken: Required
    login: [email, password]
    clientCertificate: Optional
    serviceAccountToken: {audience: "https://sts.example.com", expirationSeconds: 3600, optional: true}
    parameters:
    - {name: redirectURI, pattern: "^https?://", description: Where users come back to, required: true}
  refresh: &call
    request:
      method: POST
      url: https://auth.example.com/token
      query: {a: b}
      form: {refresh_token: "${refreshToken}"}
      headers: {Accept: application/json}
      basicAuth: {username: "${app.key}", password: "${app.secret}", formEncoded: true}
    response:
      prefix: "&&&START&&&"
      format: Auto
      success: status == 200
      accessToken: body.access_token
      refreshToken: body.?refresh_token
      tokenType: body.token_type
      expiresIn: body.?expires_in
      expiresAt: body.?expires_at
      refreshTokenExpiresIn: body.?refresh_expires_in
      refreshTokenExpiresAt: body.?refresh_expires_at
      outputs: {scope: "body.?scope"}
      failures: [{when: status == 429, reason: RateLimited}]
      standardFailures: OAuth2
      retryAfter: body.?wait
      message: body.?error_description
  login: *call
  prepare:
  - request: {url: "https://auth.example.com/app"}
    response: {outputs: {app_token: body.app_token}, expiresIn: body.expires_in}
  finish:
  - request: {url: "https://auth.example.com/hop"}
    response: {accessToken: body.access_token}
  revoke:
    request: {url: "https://auth.example.com/revoke", form: {token: "${refreshToken}"}}
  authorize:
    url: https://auth.example.com/authorize
    query: {state: "${authorization.state}", code_challenge: "${authorization.codeChallenge}"}
    pkce: S256
    code:
      request: {url: "https://auth.example.com/token", form: {code: "${authorization.code}", code_verifier: "${authorization.codeVerifier}"}}
      response: {refreshToken: body.refresh_token}
    device:
      request: {url: "https://auth.example.com/device"}
      response: {deviceCode: body.device_code, userCode: body.user_code, verificationURI: body.uri, verificationURIComplete: body.whole, interval: body.interval, expiresIn: body.expires_in}
      token:
        request: {url: "https://auth.example.com/token", form: {device_code: "${authorization.deviceCode}"}}
        response: {refreshToken: body.refresh_token}
  renewal: {earliestPercentage: 95}
  rotation: {mode: SingleUse, reuseWindow: 0s, onUnknownOutcome: Hold}
  lifetime: {accessToken: 1h, refreshToken: 336h}
  rateLimit: {requests: 5000, per: 1s}
`

// edit changes a manifest: paths of fields to their new values; nil removes.
type edit map[string]any

// validation is one rule of a CRD's schema: what it lets in, what it refuses,
// and what it says then.
type validation struct {
	field   string // as in the schema; [] stands for an item, {} for a map's value
	keyword string // of the schema; "rule" for CEL
	allows  edit
	refuses edit
	message string
}

func TestTokenCredentialValidation(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "kubectl apply of bad specs")
	faults.Shows(t, "a template that sets a label of tokenkeeper.io or kubernetes.io")
	testValidations(t, credentialManifest, "tokenkeeper.io_tokencredentials.yaml", credentialValidations(),
		"object rule: "+targetNameImmutable)
}

func TestClusterTokenProviderValidation(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "kubectl apply of bad specs")
	testValidations(t, providerManifest, "tokenkeeper.io_clustertokenproviders.yaml", providerValidations())
}

// testValidations tries each rule on the API server, and checks that every rule
// of the CRD's spec has been tried, here or elsewhere.
func testValidations(t *testing.T, manifest, file string, validations []validation, elsewhere ...string) {
	t.Helper()
	if err := tryCreate(t, manifest, nil); err != nil {
		t.Fatalf("the API server refuses the manifest that the tests start from: %v", err)
	}
	tried := map[string]bool{}
	for _, name := range elsewhere {
		tried[name] = true
	}
	for _, v := range validations {
		name := v.field + " " + v.keyword
		if v.keyword == "rule" {
			name += ": " + v.message
		}
		tried[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := tryCreate(t, manifest, v.allows); err != nil {
				t.Errorf("%v is refused: %v", v.allows, err)
			}
			err := tryCreate(t, manifest, v.refuses)
			if !apierrors.IsInvalid(err) {
				t.Fatalf("%v gives %v, want that it is invalid", v.refuses, err)
			}
			if !strings.Contains(err.Error(), v.message) {
				t.Errorf("message: %v\nwant it to hold: %s", err, v.message)
			}
		})
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(rulesOf(t, file))), slices.Sorted(maps.Keys(tried))); diff != "" {
		t.Errorf("the rules of %s and those that are tested (-CRD +tested):\n%s", file, diff)
	}
}

// tryCreate asks the API server what it would say to an edited manifest, as
// strictly as kubectl does.
func tryCreate(t *testing.T, manifest string, change edit) error {
	t.Helper()
	c := client.WithFieldValidation(apiserver.NewClient(t), metav1.FieldValidationStrict)
	return c.Create(t.Context(), edited(t, manifest, change), client.DryRunAll)
}

// edited parses a manifest and changes it.
func edited(t *testing.T, manifest string, change edit) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
		t.Fatal(err)
	}
	apply(t, object, change)
	return object
}

func apply(t *testing.T, object *unstructured.Unstructured, change edit) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(change)) {
		fields := strings.Split(path, ".")
		if value := change[path]; value == nil {
			unstructured.RemoveNestedField(object.Object, fields...)
		} else if err := unstructured.SetNestedField(object.Object, value, fields...); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}

// rulesOf lists every rule that a CRD sets for spec and for the whole object.
func rulesOf(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(apiserver.CRDDirectory, file))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		t.Fatal(err)
	}
	schema := *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	delete(schema.Properties, "status") // the operator's, and no rule of ours is in it
	var rules []string
	collectRules(schema, "", &rules)
	for _, twin := range []string{"spec.prepare[]", "spec.finish[]", "spec.revoke", "spec.authorize.code", "spec.authorize.device.token"} {
		rules = withoutTwin(t, rules, "spec.refresh", twin, ".", " required ") // each kind of call has CEL rules of its own
	}
	return withoutTwin(t, rules, "spec.refresh.request", "spec.authorize.device.request", ".", " required ", " rule: ")
}

// withoutTwin leaves out the rules within a part of the schema that has the same as
// another, where each of them is tried.
func withoutTwin(t *testing.T, rules []string, tried, twin string, separators ...string) []string {
	t.Helper()
	within := func(part string) (found []string) {
		for _, rule := range rules {
			for _, separator := range separators {
				if rest, ok := strings.CutPrefix(rule, part+separator); ok {
					found = append(found, separator+rest)
				}
			}
		}
		return slices.Sorted(slices.Values(found))
	}
	twins := within(twin)
	if len(twins) == 0 {
		return rules
	}
	if diff := cmp.Diff(within(tried), twins); diff != "" {
		t.Errorf("%s has not the rules of %s (-%s +%s):\n%s", twin, tried, tried, twin, diff)
	}
	return slices.DeleteFunc(rules, func(rule string) bool { return slices.Contains(twins, strings.TrimPrefix(rule, twin)) })
}

func collectRules(schema apiextensionsv1.JSONSchemaProps, path string, rules *[]string) {
	add := func(keyword string, set bool) {
		if set {
			*rules = append(*rules, stdcmp.Or(path, "object")+" "+keyword)
		}
	}
	add("minLength", schema.MinLength != nil)
	add("maxLength", schema.MaxLength != nil)
	add("pattern", schema.Pattern != "")
	add("enum", len(schema.Enum) > 0)
	add("minimum", schema.Minimum != nil)
	add("maximum", schema.Maximum != nil)
	add("minItems", schema.MinItems != nil)
	add("maxItems", schema.MaxItems != nil)
	add("minProperties", schema.MinProperties != nil)
	add("maxProperties", schema.MaxProperties != nil)
	for _, required := range schema.Required {
		add("required "+required, true)
	}
	if list := schema.XListType; list != nil {
		add("list type "+*list, *list != "atomic")
	}
	for _, rule := range schema.XValidations {
		add("rule: "+rule.Message, true)
	}
	for name, property := range schema.Properties {
		collectRules(property, strings.TrimPrefix(path+"."+name, "."), rules)
	}
	if schema.Items != nil {
		collectRules(*schema.Items.Schema, path+"[]", rules)
	}
	if schema.AdditionalProperties != nil {
		collectRules(*schema.AdditionalProperties.Schema, path+"{}", rules)
	}
}
