// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"net/http"
	"strconv"
)

// oracle speaks for Oracle Commerce.
type oracle struct{ *Simulator }

// answer is Oracle Commerce, store and admin. Its one token is both what
// the API is called with and what the next refresh is asked with. Only the
// error model and the code 82001 are documented; the other codes stand in.
func (v oracle) answer(options *Options, call Call) answer {
	o := options.Oracle
	if call.Method != http.MethodPost {
		return o.refuse(405, "82003", "The method is not allowed.", "not a POST")
	}
	if call.Endpoint == Login {
		if call.Vendor == OracleAdmin {
			return v.loginAdmin(options, call)
		}
		return v.loginStore(options, call)
	}
	if empty := call.Body == "" && o.AcceptEmptyBody; !empty {
		if call.mediaType != "application/json" {
			return o.refuse(415, "82002", "The media type is not supported: application/json is expected.", "wrong media type")
		}
		if call.object == nil {
			return o.refuse(400, "82001", "The request body is no JSON object.", "no JSON object")
		}
	}
	result, refused := v.redeem(options, call.Vendor, "", call.bearer(), o.terms(call.Vendor))
	if refused != accepted {
		return o.refuse(401, "82000", "The access token is missing, invalid or expired.", refused)
	}
	return o.success(call.Vendor, result)
}

// loginAdmin takes an application key as the bearer token.
func (v oracle) loginAdmin(options *Options, call Call) answer {
	o := options.Oracle
	if call.form == nil || call.form.Get("grant_type") != "client_credentials" {
		return o.refuse(400, "82001", "The form must hold grant_type=client_credentials.", "unsupported grant_type")
	}
	user, known := v.applicationKey(call.bearer())
	if !known {
		return o.refuse(401, "82000", "The application key is missing or invalid.", "login refused")
	}
	return o.success(OracleAdmin, v.login(options, Grant{Vendor: OracleAdmin, User: user.Name}, o.terms(OracleAdmin)))
}

func (v oracle) loginStore(options *Options, call Call) answer {
	o := options.Oracle
	if call.form == nil || call.form.Get("grant_type") != "password" {
		return o.refuse(400, "82001", "The form must hold grant_type=password.", "unsupported grant_type")
	}
	user, known := v.user(OracleStore, call.form.Get("username"))
	if !known || user.Password != call.form.Get("password") {
		return o.refuse(401, "82000", "The username or the password is wrong.", "login refused")
	}
	return o.success(OracleStore, v.login(options, Grant{Vendor: OracleStore, User: user.Name}, o.terms(OracleStore)))
}

func (o OracleOptions) lifetime(vendor Vendor) Duration {
	if vendor == OracleAdmin {
		return o.AdminLifetime
	}
	return o.StoreLifetime
}

func (o OracleOptions) terms(vendor Vendor) terms {
	return terms{rotation: o.Rotation, accessLifetime: o.lifetime(vendor), refreshLifetime: o.lifetime(vendor), oneToken: true}
}

func (o OracleOptions) success(vendor Vendor, result issue) answer {
	reply := object{{"access_token", result.access}, {"token_type", "bearer"}}.withExpiry(o.ExpiresIn, o.lifetime(vendor))
	return answer{grant: result.grant.ID, Reply: jsonReply(200, "application/json", encode(reply))}
}

func (o OracleOptions) refuse(status int, code, message string, why refusal) answer {
	var shown any = strconv.Itoa(status)
	if o.ErrorStatusAsNumber {
		shown = status
	}
	reply := object{{"message", message}, {"status", shown}, {"errorCode", code}}
	if o.FullErrors {
		item := append(object{}, reply...)
		reply = append(reply,
			member{"devMessage", message},
			member{"moreInfo", ""},
			member{"o:errorPath", ""},
			member{"type", fmt.Sprintf("https://www.rfc-editor.org/rfc/rfc2616#section-10.%d.%d", status/100, status%100+1)},
			member{"errors", raw("[" + item.encode() + "]")},
		)
	}
	return answer{refusal: why, Reply: jsonReply(status, "application/json", encode(reply))}
}
