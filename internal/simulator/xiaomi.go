// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strconv"
)

// XiaomiHost is where Xiaomi's token endpoint is.
const XiaomiHost = "account.xiaomi.com"

// The error codes of Xiaomi that the simulator gives.
const (
	xiaomiNoClient        = 96001
	xiaomiInvalidRequest  = 96002
	xiaomiInvalidClient   = 96003
	xiaomiUnsupported     = 96006
	xiaomiInvalidRefresh  = 96009
	xiaomiRedirectInvalid = 96010
)

// xiaomi speaks for Xiaomi.
type xiaomi struct{ *Simulator }

// answer is Xiaomi's account service. The parameters come in the query of
// a GET; one that comes twice is refused.
func (v xiaomi) answer(options *Options, call Call) answer {
	o := options.Xiaomi
	if call.Method != http.MethodGet || call.query == nil {
		return o.refuse(xiaomiInvalidRequest, "invalid request: GET with a query is expected", "not a GET")
	}
	for _, name := range []string{"client_id", "client_secret", "redirect_uri", "grant_type", "refresh_token"} {
		if len(call.query[name]) != 1 || call.query.Get(name) == "" {
			return o.refuse(xiaomiInvalidRequest, "invalid request: "+name, "incomplete request")
		}
	}
	if kind := call.query.Get("token_type"); kind != "" && kind != "mac" && kind != "bearer" {
		return o.refuse(xiaomiInvalidRequest, "invalid request: token_type", "unknown token_type")
	}
	app, known := v.app(Xiaomi, call.query.Get("client_id"))
	switch {
	case !known:
		return o.refuse(xiaomiNoClient, "client not exists", "app refused")
	case call.query.Get("client_secret") != app.Secret:
		return o.refuse(xiaomiInvalidClient, "invalid client", "app refused")
	case call.query.Get("redirect_uri") != app.RedirectURI:
		return o.refuse(xiaomiRedirectInvalid, "redirect_uri mismatch", "redirect_uri differs")
	case call.query.Get("grant_type") != "refresh_token":
		return o.refuse(xiaomiUnsupported, "unsupported grant type", "unsupported grant_type")
	}
	result, refused := v.redeem(options, Xiaomi, app.Key, call.query.Get("refresh_token"), terms{
		rotation: o.Rotation, accessLifetime: o.AccessTokenLifetime, refreshLifetime: o.RefreshTokenLifetime})
	if refused != accepted {
		return o.refuse(xiaomiInvalidRefresh, "invalid or expired refresh token", refused)
	}
	return answer{grant: result.grant.ID, Reply: jsonReply(200, o.ContentType, o.prefix()+encode(o.success(result)))}
}

func (o XiaomiOptions) success(result issue) object {
	stray, lead := "", ""
	if o.StraySpaces {
		stray, lead = " ", " "
	}
	macKey := make([]byte, 20)
	_, _ = rand.Read(macKey)
	reply := object{{"access_token", result.access}}.withExpiry(o.ExpiresIn, o.AccessTokenLifetime)
	if result.refreshIsNew {
		reply = append(reply, member{"refresh_token", result.refresh})
	}
	return append(reply,
		member{"scope", cmp.Or(result.grant.Scope, o.Scope)},
		member{"token_type" + stray, "mac"},
		member{"mac_key" + stray, base64.RawURLEncoding.EncodeToString(macKey)},
		member{"mac_algorithm", lead + "HmacSha1"},
		member{"openId", "open-" + result.grant.ID},
	)
}

func (o XiaomiOptions) refuse(code int, description string, why refusal) answer {
	reply := object{{"error", code}, {"error_description", description}}
	if o.ErrorAsText {
		reply[0].value = strconv.Itoa(code)
	}
	return answer{refusal: why, Reply: jsonReply(o.ErrorStatus, o.ContentType, o.prefix()+encode(reply))}
}

func (o XiaomiOptions) prefix() string {
	switch o.Prefix {
	case PrefixNone:
		return ""
	case PrefixThenSpace:
		return "&&&START&&& \n"
	default:
		return "&&&START&&&"
	}
}
