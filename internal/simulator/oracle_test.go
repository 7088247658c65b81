// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOracle(t *testing.T) {
	t.Parallel()
	const unauthorized = `{"message":"The access token is missing, invalid or expired.","status":"401","errorCode":"82000"}`
	storeLogin := request{"POST", "https://shop.example.com/ccstore/v1/login", "", formType, "grant_type=password&username=shopper%40example.com&password=demo-store-password"}
	adminLogin := request{"POST", "https://shop.example.com/ccadmin/v1/login", "Bearer " + DemoOracleApplicationKey, formType, "grant_type=client_credentials"}
	wrongKey, wrongPassword, jsonLogin := adminLogin, storeLogin, storeLogin
	wrongKey.authorization = "Bearer no"
	wrongPassword.body += "x"
	jsonLogin.contentType = jsonType
	check(t, []conversation{
		{"a store login", Options{}, storeLogin, 200, `{"access_token":"access-110001-1","token_type":"bearer","expires_in":900}`, "15 minutes"},
		{"an admin login", Options{}, adminLogin, 200, `{"access_token":"access-110001-1","token_type":"bearer","expires_in":300}`, "5 minutes"},
		{"the lifetime as text by switch", Options{Oracle: OracleOptions{StoreLifetime: 930 * Second, ExpiresIn: ExpiresInText}}, storeLogin, 200,
			`{"access_token":"access-110001-1","token_type":"bearer","expires_in":"930"}`, "by one document"},
		{"the lifetime missing by switch", Options{Oracle: OracleOptions{ExpiresIn: ExpiresInMissing}}, storeLogin, 200,
			`{"access_token":"access-110001-1","token_type":"bearer"}`, "by another"},
		{"a refresh of the documented token", Options{}, oracleRefresh("ccstore", DemoOracleStoreToken), 200,
			`{"access_token":"access-demo-oracle-store-1","token_type":"bearer","expires_in":900}`, "the documented reply"},
		{"a wrong application key", Options{}, wrongKey, 401, `{"message":"The application key is missing or invalid.","status":"401","errorCode":"82000"}`, "401"},
		{"a wrong password", Options{}, wrongPassword, 401, `{"message":"The username or the password is wrong.","status":"401","errorCode":"82000"}`, "401"},
		{"a login that is no form", Options{}, jsonLogin, 400, `{"message":"The form must hold grant_type=password.","status":"400","errorCode":"82001"}`, "form is documented"},
		{"an unknown token", Options{}, oracleRefresh("ccstore", "no"), 401, unauthorized, "401"},
		{"no token", Options{}, request{"POST", "https://shop.example.com/ccstore/v1/refresh", "", jsonType, "{}"}, 401, unauthorized, "401"},
		{"a refresh without a media type", Options{}, request{"POST", "https://shop.example.com/ccstore/v1/refresh", "Bearer x", "", "{}"}, 415,
			`{"message":"The media type is not supported: application/json is expected.","status":"415","errorCode":"82002"}`, "JSON is documented"},
		{"a refresh that is no object", Options{}, request{"POST", "https://shop.example.com/ccstore/v1/refresh", "Bearer x", jsonType, "[]"}, 400,
			`{"message":"The request body is no JSON object.","status":"400","errorCode":"82001"}`, "an object is documented"},
		{"an empty body by switch reaches the token", Options{Oracle: OracleOptions{AcceptEmptyBody: true}}, request{"POST", "https://shop.example.com/ccstore/v1/refresh", "Bearer x", "", ""}, 401, unauthorized, "the sample request has no body"},
		{"the status as a number by switch", Options{Oracle: OracleOptions{ErrorStatusAsNumber: true}}, oracleRefresh("ccadmin", "no"), 401, strings.Replace(unauthorized, `"401"`, "401", 1), "a number"},
		{"the whole error model by switch", Options{Oracle: OracleOptions{FullErrors: true}}, oracleRefresh("ccadmin", "no"), 401,
			strings.TrimSuffix(unauthorized, "}") + `,"devMessage":"The access token is missing, invalid or expired.","moreInfo":"","o:errorPath":"","type":"https://www.rfc-editor.org/rfc/rfc2616#section-10.4.2","errors":[` + unauthorized + `]}`, "every member"},
	})
}

func TestOracleRefreshesWithItsAccessToken(t *testing.T) {
	t.Parallel()
	for _, part := range []struct {
		vendor   Vendor
		path     string
		lifetime time.Duration
	}{{OracleStore, "ccstore", 15 * time.Minute}, {OracleAdmin, "ccadmin", 5 * time.Minute}} {
		t.Run(part.path, func(t *testing.T) {
			t.Parallel()
			s, clock := newTest(t, Options{})
			if _, err := s.Add(Seed{Grants: []Grant{{ID: "g", Vendor: part.vendor, RefreshToken: "first"}}}); err != nil {
				t.Fatal(err)
			}
			clock.move(part.lifetime - time.Second)
			if reply := oracleRefresh(part.path, "first").send(t, s); reply.Code != 200 || !strings.Contains(reply.Body.String(), `"access-g-1"`) {
				t.Fatalf("a token that lives must refresh: %d %s", reply.Code, reply.Body)
			}
			other := map[string]string{"ccstore": "ccadmin", "ccadmin": "ccstore"}[part.path]
			if reply := oracleRefresh(other, "access-g-1").send(t, s); reply.Code != 401 {
				t.Errorf("a token of the one must not refresh at the other: %d", reply.Code)
			}
			if !s.AccessTokenValid("first") || !s.AccessTokenValid("access-g-1") {
				t.Error("both tokens live until they expire")
			}
			clock.move(time.Second)
			if reply := oracleRefresh(part.path, "first").send(t, s); reply.Code != 401 {
				t.Errorf("an expired access token must not refresh: %d", reply.Code)
			}
			bare := oracleRefresh(part.path, "access-g-1")
			bare.authorization = "access-g-1"
			if reply := bare.send(t, s); reply.Code != 401 {
				t.Errorf("a token without Bearer must not refresh: %d", reply.Code)
			}
			if s.AccessTokenValid("first") {
				t.Error("the first token has expired")
			}
			if got := grantOf(t, s, "g").Current; got != "access-g-1" {
				t.Errorf("the current token is %q", got)
			}
		})
	}
}

func TestOracleTokenIsLikeTheDocumentedOne(t *testing.T) {
	t.Parallel()
	got := strings.Split(defaultToken(TokenRequest{Vendor: OracleStore, Grant: "110558", IssuedAt: start, Lifetime: 930 * time.Second}), ".")
	want := []string{"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
		"eyJleHAiOjE0MTQxNDk5NTYsInN1YiI6IjExMDU1OCIsImlzcyI6InN0b3JlZnJvbnRVSSIsImlhdCI6MTQxNDE0OTAyNn0="}
	if diff := cmp.Diff(want, got[:2]); diff != "" || len(got) != 3 {
		t.Errorf("header and claims are those of the sample (-want +got):\n%s", diff)
	}
}
