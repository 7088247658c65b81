// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"strings"
	"testing"
)

func mcsErrorBody(message string) string {
	return `{"apiVersion":"0.0.1","code":500,"message":"` + message + `","statusCode":500,"options":{}}`
}

func mcsRequest(change func(*request)) request {
	r := mcsRefresh(DemoMCSUserToken)
	change(&r)
	return r
}

func TestMCS(t *testing.T) {
	t.Parallel()
	badApp := mcsErrorBody("Invalid or missing client_id parameter")
	login := request{"POST", "https://mcs.mediatek.com/oauth/login/thirdparty", mcsBasic, jsonType, `{"email":"mcsuser@mediatek.com","password":"123456789"}`}
	formLogin := login
	formLogin.contentType, formLogin.body = formType, "email=mcsuser%40mediatek.com&password=123456789"
	wrongLogin := login
	wrongLogin.body = `{"email":"mcsuser@mediatek.com","password":"12345678"}`
	check(t, []conversation{
		{"a refresh brings the nested reply", Options{}, mcsRefresh(DemoMCSUserToken), 200,
			mcsNestedStart + `,"token":"demo-mcs-user-token"}}`, "the user token stays by default"},
		{"the mistyped path works", Options{}, mcsRequest(func(r *request) { r.url = strings.Replace(r.url, "thirdparty", "thirdpart", 1) }), 200,
			mcsNestedStart + `,"token":"demo-mcs-user-token"}}`, "old clients use thirdpart"},
		{"a form works", Options{}, mcsRequest(func(r *request) { r.contentType, r.body = formType, "token=demo-mcs-user-token" }), 200,
			mcsNestedStart + `,"token":"demo-mcs-user-token"}}`, "both body forms are taken"},
		{"a form is refused by switch", Options{MCS: MCSOptions{RefuseForm: true}},
			mcsRequest(func(r *request) { r.contentType, r.body = formType, "token=demo-mcs-user-token" }), 500,
			mcsErrorBody("Invalid or missing token parameter"), "only JSON counts then"},
		{"the user token changes by switch", Options{MCS: MCSOptions{Rotation: Rotation{NewRefreshToken: Always}}}, mcsRefresh(DemoMCSUserToken), 200,
			mcsNestedStart + `,"token":"refresh-demo-mcs-2"}}`, "not documented, so a switch"},
		{"the token is left out by switch", Options{MCS: MCSOptions{OmitToken: true}}, mcsRefresh(DemoMCSUserToken), 200,
			mcsNestedStart + `}}`, "a reply may lack it"},
		{"the reply is flat by switch", Options{MCS: MCSOptions{FlatRefresh: true}}, mcsRefresh(DemoMCSUserToken), 200,
			`{"apiVersion":"0.0.1","code":200,"message":"Request has succeeded","token":"demo-mcs-user-token","access_token":"access-demo-mcs-1"}`, "as a login"},
		{"a login brings the flat reply", Options{}, login, 200, mcsFlatReply, "the documented login"},
		{"a login by form works", Options{}, formLogin, 200, mcsFlatReply, "both body forms are taken"},
		{"a wrong password is refused", Options{}, wrongLogin, 500, mcsErrorBody("User credentials are invalid"), "one digit is missing"},
		{"a missing header is refused", Options{}, mcsRequest(func(r *request) { r.authorization = "" }), 500, badApp, "the documented error"},
		{"a header without Basic is refused", Options{}, mcsRequest(func(r *request) { r.authorization = strings.TrimPrefix(mcsBasic, "Basic ") }), 500, badApp, "strict by default"},
		{"a header without Basic works by switch", Options{MCS: MCSOptions{AcceptBareAuthorization: true}},
			mcsRequest(func(r *request) { r.authorization = strings.TrimPrefix(mcsBasic, "Basic ") }), 200,
			mcsNestedStart + `,"token":"demo-mcs-user-token"}}`, "an example of the documentation shows it so"},
		{"base64 without padding is refused", Options{}, mcsRequest(func(r *request) { r.authorization = strings.TrimRight(mcsBasic, "=") }), 500, badApp, "the header must be exact"},
		{"a wrong secret is refused", Options{}, mcsRequest(func(r *request) { r.authorization = "Basic QXVNZ1MyTVBLNVo2bnFXaFZzeVY6d3Jvbmc=" }), 500, badApp, "the secret is compared"},
		{"an unknown token is refused", Options{}, mcsRefresh("never issued"), 500, mcsErrorBody("Invalid refresh token"), "it was never issued"},
		{"a missing token is refused", Options{}, mcsRequest(func(r *request) { r.body = `{}` }), 500, mcsErrorBody("Invalid or missing token parameter"), "the body holds it"},
		{"an error's code and text are a switch", Options{MCS: MCSOptions{TokenError: MCSError{Code: 401, Message: "no"}}}, mcsRefresh("never issued"), 401,
			`{"apiVersion":"0.0.1","code":401,"message":"no","statusCode":401,"options":{}}`, "only one error is documented"},
		{"GET is refused", Options{}, mcsRequest(func(r *request) { r.method = "GET" }), 404,
			`{"apiVersion":"0.0.1","code":404,"message":"Not found","statusCode":404,"options":{}}`, "POST is documented"},
	})
}
