// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

const aboutProviders = "What servers and their surroundings really send. Each kind is known from public reports of people " +
	"who keep tokens alive; the tests say by whom each example of it was met. The rule behind them: what arrived is used, what " +
	"ends is known to end, and a message names the likeliest cause."

// providers are kinds of replies that no standard foresees, and slips of people around them.
func providers() []Fault {
	return append(sloppyTokens(), append(oddRefusals(), oddWays()...)...)
}

func sloppyTokens() []Fault {
	return []Fault{
		{"an access token that is given again", "it never outlives its known end, and is renewed once, at that end: servers that cache tokens of client credentials"},
		{"an access token that is extended", "where the description says so it lives as long as each reply states: WeChat, Douyin"},
		{"a token that is born dead", "it is not published; it is told, and tried again with a backoff: servers whose clock is behind, and caches"},
		{"a refresh token that ends before its access token", "it is renewed before its own end; where that is too soon, it is told: sessions of identity servers"},
		{"an end in a notation of its own", "it is read where it has one meaning; else it is told: dates of Java, .NET, databases, logs"},
		{"a token that is the whole reply", "it is published without its quotes: metadata services and small gateways"},
		{"a Content-Encoding that is not true", "the bytes decide, and nothing that was read is dropped: proxies and frameworks that set a charset there"},
		{"tokens in an imperfect frame", "they are used, and what was wrong is told: warnings of PHP, guards against scripts, gateways that wrap or encode twice, JSON written by hand"},
		{"tokens in a reply that breaks off", "what is whole of them is kept: proxies that count wrongly"},
		{"an unknown outcome where a login is at hand", "it logs in, which sends no doubtful token"},
	}
}

func oddRefusals() []Fault {
	return []Fault{
		{"an error that is null", "it is none: servers that fill a struct"},
		{"a refusal with another code than those of RFC 6749", "it means what its words say of the refresh token or the app: OpenID Connect, Microsoft, Okta, Keycloak, gateways"},
		{"a pause in a notation that RFC 9110 does not know", "it is kept: fractions, lists, moments"},
		{"a pause that Retry-After does not state", "it is kept: limits of social networks, chat services, clouds"},
		{"a redirect from the token endpoint", "not followed; the message says where to, without what may be secret: a missing stroke at the end, login pages"},
	}
}

func oddWays() []Fault {
	return []Fault{
		{"a private key that was copied carelessly", "the first key in it is used; else the message names what was found: openssl ecparam, keys in JSON, in one line, encoded twice"},
		{"marks around a value in a Secret", "they are stripped: editors, PowerShell, clipboards"},
		{"state that only a refusal brings", "the call is sent again at once, with it: nonces of DPoP, a region's host"},
		{"a request that is spelled in its own way", "a key may repeat, and a header keeps its spelling: old gateways"},
	}
}
