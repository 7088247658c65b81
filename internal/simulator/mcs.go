// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"strings"
)

// mcs speaks for MediaTek Cloud Sandbox.
type mcs struct{ *Simulator }

// answer is MediaTek Cloud Sandbox. Of its errors only that of the app is
// documented; the other texts are those of the OAuth server library whose words
// the documented one uses.
func (v mcs) answer(options *Options, call Call) answer {
	o := options.MCS
	if call.Method != http.MethodPost {
		return mcsError(MCSError{Code: http.StatusNotFound, Message: "Not found"}, "not a POST")
	}
	app, ok := v.authenticate(o, call)
	if !ok {
		return mcsError(o.AppError, "app refused")
	}
	if o.RefuseForm {
		call.form = nil
	}
	if call.Endpoint == Login {
		return v.loginUser(options, app, call)
	}
	value := call.field("token")
	if value == "" {
		return mcsError(MCSError{Code: o.TokenError.Code, Message: "Invalid or missing token parameter"}, "no token")
	}
	result, refused := v.redeem(options, MCS, app.Key, value, o.terms())
	switch refused {
	case accepted:
	case expiredToken:
		return mcsError(o.ExpiredError, refused)
	default:
		return mcsError(o.TokenError, refused)
	}
	if o.FlatRefresh {
		return mcsFlat(o, result)
	}
	return mcsNested(o, result)
}

func (v mcs) loginUser(options *Options, app App, call Call) answer {
	user, known := v.user(MCS, call.field("email"))
	if !known || user.Password != call.field("password") {
		return mcsError(options.MCS.LoginError, "login refused")
	}
	result := v.login(options, Grant{Vendor: MCS, App: app.Key, User: user.Name}, options.MCS.terms())
	return mcsFlat(MCSOptions{}, result)
}

func (o MCSOptions) terms() terms {
	return terms{rotation: o.Rotation, accessLifetime: o.AccessTokenLifetime, refreshLifetime: o.UserTokenLifetime}
}

// authenticate compares the Authorization header byte for byte with the one that the
// app must send.
func (v mcs) authenticate(o MCSOptions, call Call) (App, bool) {
	header := call.Header.Get("Authorization")
	encoded, basic := strings.CutPrefix(header, "Basic ")
	if !basic && !o.AcceptBareAuthorization {
		return App{}, false
	}
	pair, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return App{}, false
	}
	key, _, _ := strings.Cut(string(pair), ":")
	app, known := v.app(MCS, key)
	return app, known && encoded == base64.StdEncoding.EncodeToString([]byte(app.Key+":"+app.Secret))
}

func mcsFlat(o MCSOptions, result issue) answer {
	reply := object{{"apiVersion", "0.0.1"}, {"code", 200}, {"message", "Request has succeeded"}}
	if !o.OmitToken {
		reply = append(reply, member{"token", result.refresh})
	}
	reply = append(reply, member{"access_token", result.access})
	return answer{grant: result.grant.ID, Reply: jsonReply(200, "application/json", encode(reply))}
}

// mcsNested writes the members in the order of the documentation's sample.
func mcsNested(o MCSOptions, result issue) answer {
	results := object{
		{"access_token", result.access},
		{"userImageURL", "profile/1234567890.jpg"},
		{"timezone", "Asia/Taipei"},
		{"email", cmp.Or(result.grant.User, "mcsuser@mediatek.com")},
		{"nickname", "MCS User"},
		{"language", "zh-TW"},
		{"plan", object{{"name", "Free plan"}, {"deviceCount", 10}, {"dataPointCount", 100000}, {"emailCount", 100}}},
	}
	if !o.OmitToken {
		results = append(results, member{"token", result.refresh})
	}
	return answer{grant: result.grant.ID, Reply: jsonReply(200, "application/json", encode(object{
		{"apiVersion", "0.0.1"}, {"code", 200}, {"message", "Request has succeeded"}, {"results", results},
	}))}
}

func mcsError(e MCSError, why refusal) answer {
	return answer{refusal: why, Reply: jsonReply(e.Code, "application/json", encode(object{
		{"apiVersion", "0.0.1"}, {"code", e.Code}, {"message", e.Message}, {"statusCode", e.Code}, {"options", object{}},
	}))}
}
