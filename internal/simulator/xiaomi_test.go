// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"strings"
	"testing"
)

func TestXiaomi(t *testing.T) {
	t.Parallel()
	const prefix = "&&&START&&&"
	refusal := func(code, text string) string {
		return prefix + `{"error":` + code + `,"error_description":"` + text + `"}`
	}
	expired := `"error_description":"invalid or expired refresh token"}`
	fine := xiaomiRefresh(DemoXiaomiRefreshToken)
	post := fine
	post.method = "POST"
	twice := fine
	twice.url += "&refresh_token=again"
	check(t, []conversation{
		{"a refresh brings a new refresh token", Options{}, fine, 200, prefix + xiaomiReply, "the documented reply"},
		{"token_type=mac is taken", Options{}, xiaomiRefresh(DemoXiaomiRefreshToken, "token_type", "mac"), 200, prefix + xiaomiReply, "the SDKs send it"},
		{"no prefix by switch", Options{Xiaomi: XiaomiOptions{Prefix: PrefixNone}}, fine, 200, xiaomiReply, "often, not always"},
		{"white space after the prefix by switch", Options{Xiaomi: XiaomiOptions{Prefix: PrefixThenSpace}}, fine, 200, prefix + " \n" + xiaomiReply, "possibly"},
		{"stray spaces by switch", Options{Xiaomi: XiaomiOptions{StraySpaces: true}}, fine, 200,
			prefix + strings.NewReplacer(`token_type"`, `token_type "`, `mac_key"`, `mac_key "`, `"HmacSha1`, `" HmacSha1`).Replace(xiaomiReply), "as in the documentation"},
		{"expires_in as text by switch", Options{Xiaomi: XiaomiOptions{ExpiresIn: ExpiresInText}}, fine, 200, prefix + strings.Replace(xiaomiReply, "360000", `"360000"`, 1), "a numeric string"},
		{"expires_in as sent", Options{Xiaomi: XiaomiOptions{ExpiresIn: "1e30"}}, fine, 200, prefix + strings.Replace(xiaomiReply, "360000", "1e30", 1), "any JSON value"},
		{"expires_in missing by switch", Options{Xiaomi: XiaomiOptions{ExpiresIn: ExpiresInMissing}}, fine, 200, prefix + strings.Replace(xiaomiReply, `"expires_in":360000,`, "", 1), "left out"},
		{"another lifetime", Options{Xiaomi: XiaomiOptions{AccessTokenLifetime: 7776000 * Second}}, fine, 200, prefix + strings.Replace(xiaomiReply, "360000", "7776000", 1), "seen too"},
		{"no new token by switch", Options{Xiaomi: XiaomiOptions{Rotation: Rotation{NewRefreshToken: Never}}}, fine, 200, prefix + strings.Replace(xiaomiReply, `"refresh_token":"refresh-demo-xiaomi-2",`, "", 1), "never brings one"},
		{"an unknown client", Options{}, xiaomiRefresh(DemoXiaomiRefreshToken, "client_id", "1"), 200, refusal("96001", "client not exists"), "96001"},
		{"a missing parameter", Options{}, xiaomiRefresh(DemoXiaomiRefreshToken, "grant_type", ""), 200, refusal("96002", "invalid request: grant_type"), "96002"},
		{"a repeated parameter", Options{}, twice, 200, refusal("96002", "invalid request: refresh_token"), "96002"},
		{"a POST", Options{}, post, 200, refusal("96002", "invalid request: GET with a query is expected"), "GET is documented"},
		{"a wrong secret", Options{}, xiaomiRefresh(DemoXiaomiRefreshToken, "client_secret", "demo-xiaomi-client-secret"), 200, refusal("96003", "invalid client"), "96003"},
		{"another grant type", Options{}, xiaomiRefresh(DemoXiaomiRefreshToken, "grant_type", "password"), 200, refusal("96006", "unsupported grant type"), "96006"},
		{"an unknown refresh token", Options{}, xiaomiRefresh("never issued"), 200, prefix + `{"error":96009,` + expired, "96009"},
		{"an error as text by switch", Options{Xiaomi: XiaomiOptions{ErrorAsText: true}}, xiaomiRefresh("never issued"), 200, prefix + `{"error":"96009",` + expired, "as in the sample"},
		{"an error with 400 by switch", Options{Xiaomi: XiaomiOptions{ErrorStatus: 400, Prefix: PrefixNone}}, xiaomiRefresh("never issued"), 400, `{"error":96009,` + expired, "not documented"},
		{"a redirect URI with another slash", Options{}, xiaomiRefresh(DemoXiaomiRefreshToken, "redirect_uri", DemoXiaomiRedirectURI+"/"), 200, refusal("96010", "redirect_uri mismatch"), "96010"},
	})
}
