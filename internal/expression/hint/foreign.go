// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package hint

import "strings"

// foreignFunctions are functions as other languages call them, in lower case without
// '_', and what to write: a function of ours is named first, so that it can be left out
// where it is not known.
var foreignFunctions = foreign(map[string]string{
	"len length count strlen":                                            "size: size(value)",
	"tolowercase lower tolower downcase lowercase asciidowncase":         "lowerAscii: text.lowerAscii()",
	"touppercase upper toupper upcase uppercase asciiupcase":             "upperAscii: text.upperAscii()",
	"str tostring stringify.number text":                                 "string: string(value)",
	"parseint toint integer atoi tonumber number strconv.atoi":           "int: int(value)",
	"float parsefloat tofloat tofloat64 decimal":                         "double: double(value)",
	"json.parse json.loads json.load fromjson parsejson jsondecode":      "json.decode: json.decode(text)",
	"json.stringify json.dumps tojson stringify jsonencode json.marshal": "json.encode: json.encode(value)",
	"md5 md5sum hashlib.md5":                                             "hash.md5: hex.encode(hash.md5(text))",
	"sha1 sha1sum hashlib.sha1":                                          "hash.sha1: hex.encode(hash.sha1(text))",
	"sha256 sha256sum hashlib.sha256":                                    "hash.sha256: hex.encode(hash.sha256(text))",
	"sha512 sha512sum hashlib.sha512":                                    "hash.sha512: hex.encode(hash.sha512(text))",
	"hmac hmacsha256 hmac.new":                                           "hmac.sha256: hex.encode(hmac.sha256(key, message))",
	"hmacsha1":                                                           "hmac.sha1: hex.encode(hmac.sha1(key, message))",
	"hmacsha512":                                                         "hmac.sha512: hex.encode(hmac.sha512(key, message))",
	"base64 b64enc b64encode btoa base64encode tobase64":                 "base64.encode: base64.encode(bytes(text))",
	"b64dec b64decode atob base64decode frombase64":                      "base64.decode: string(base64.decode(text))",
	"hex hexencode hexlify tohex":                                        "hex.encode: hex.encode(value)",
	"urlencode encodeuricomponent urlquery quote url.encode urlescape":   "url.escape: url.escape(text)",
	"urldecode decodeuricomponent unquote url.decode":                    "url.unescape: url.unescape(text)",
	"strip trimspace ltrim rtrim":                                        "trim: text.trim()",
	"substr slice mid":                                                   "substring: text.substring(0, 4)",
	"includes hassubstr strcontains":                                     "contains: text.contains(part)",
	"hasprefix beginswith":                                               "startsWith: text.startsWith(part)",
	"hassuffix":                                                          "endsWith: text.endsWith(part)",
	"replaceall gsub sub":                                                "replace: text.replace(old, new)",
	"regexmatch test match ismatch regex":                                "matches: text.matches('^a+$')",
	"date time.parse parsedate todate strptime":                          "timestamp: timestamp(\"2026-01-02T03:04:05Z\")",
	"uuid4 uuidv4 newuuid randomuuid uuid.v4 guid":                       "uuid: uuid()",
	"jwt.encode jwtsign":                                                 "jwt.sign: jwt.sign(\"RS256\", key, claims)",
	"jwt.decode jwt.parse parsejwt":                                      "jwt.claims: jwt.claims(token)",
	"concat":                                                             ": a + b",
	"exists isset defined isdefined empty isempty isnull":                ": has(body.name)",
	"haskey containskey":                                                 ": \"name\" in body",
	"default coalesce ifnull nvl getordefault get":                       ": body.?name.orValue(\"other\")",
	"iif ternary cond":                                                   ": condition ? this : that",
	"time.now date.now timestamp.now currenttime":                        ": now",
	"unix unixtime epoch":                                                ": int(now)",
	"first":                                                              ": list[0]",
})

// foreignFunction is one of them: the function that it becomes, if it is one, and an
// example.
type foreignFunction struct{ ours, write string }

func foreign(table map[string]string) map[string]foreignFunction {
	all := map[string]foreignFunction{}
	for theirs, write := range table {
		ours, example, _ := strings.Cut(write, ": ")
		for _, name := range strings.Fields(theirs) {
			all[name] = foreignFunction{ours, example}
		}
	}
	return all
}

// foreignNames are values as other languages call them, in lower case.
var foreignNames = map[string]string{
	"nil": "write null, or ask whether a field is there: has(body.error)", "none": "write null, or ask whether a field is there: has(body.error)",
	"null": "write null in lower case", "undefined": "ask whether a field is there: has(body.error)", "true": "write true in lower case", "false": "write false in lower case",
	"response": "the reply is in status, headers and body", "reply": "the reply is in status, headers and body", "request": "a request's inputs are app, refreshToken, login, parameters and outputs",
	"code": "the HTTP status is status, a field of the reply body.code", "statuscode": "the HTTP status is status", "httpstatus": "the HTTP status is status",
}

// aliases are what people call the variables that an app's key and secret have.
var aliases = map[string]string{
	"clientid": "app.key", "appkey": "app.key", "appid": "app.key", "key": "app.key", "clientkey": "app.key",
	"clientsecret": "app.secret", "appsecret": "app.secret", "secret": "app.secret",
}
