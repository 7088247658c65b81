// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/token"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// withOutputs reads two outputs and a refresh token of a reply.
const withOutputs = `
refresh:
  request: {url: "https://x.example/token", form: {refresh_token: "${refreshToken}"}}
  response:
    accessToken: body.access_token
    refreshToken: body.?refresh_token
    outputs: {profile: body.profile, scope: body.scope}
    failures: [{when: status == 401, reason: AppRejected}]
    message: body.?message
rotation: {mode: SingleUse}
`

// text of so many bytes.
func text(size int) string { return strings.Repeat("x", size) }

// list of so many zeros.
func list(size int) string { return "[" + strings.TrimSuffix(strings.Repeat("0,", size), ",") + "]" }

// nested lists.
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestAReplyIsReadWithinBounds(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a refresh token that is too large to be kept")
	faults.Shows(t, "a reply of more values than can be meant")
	const tokens = `"access_token":"a","refresh_token":"next"`
	const tooMany = " (it holds more than 5000 values)"
	// An output of so many bytes as JSON is a text of two less; its name counts too.
	output := func(size int) string { return `{` + tokens + `,"profile":"` + text(size-2-len("profile")) + `"}` }
	type want struct {
		Reason, Message, Access, Refresh string
		Unkept                           int
	}
	for name, c := range map[string]struct {
		reason string
		status int
		body   string
		want   want
	}{
		"an access token of the size allowed": {"the bound is inclusive", 200, `{"access_token":"` + text(token.MaxSize) + `","refresh_token":"next"}`,
			want{Reason: "Refreshed", Access: text(token.MaxSize), Refresh: "next"}},
		"an access token of one byte too many": {"it is not used, and the refresh token is saved", 200, `{"access_token":"` + text(token.MaxSize+1) + `","refresh_token":"next"}`,
			want{Reason: "RequestRejected", Refresh: "next", Message: "the provider's reply holds a larger access token than can be kept: 32769 bytes, of at most 32768"}},
		"a refresh token of the size allowed": {"the bound is inclusive", 200, `{"access_token":"a","refresh_token":"` + text(token.MaxSize) + `"}`,
			want{Reason: "Refreshed", Access: "a", Refresh: text(token.MaxSize)}},
		"a refresh token of one byte too many": {"the access token is used, and what is lost is known at once", 200, `{"access_token":"a","refresh_token":"` + text(token.MaxSize+1) + `"}`,
			want{Reason: "Refreshed", Access: "a", Unkept: token.MaxSize + 1}},
		"outputs of the size allowed": {"the bound is inclusive", 200, output(token.MaxOutputs),
			want{Reason: "Refreshed", Access: "a", Refresh: "next"}},
		"outputs of one byte too many": {"half of them would be taken for all; the refresh token is saved", 200, output(token.MaxOutputs + 1),
			want{Reason: "RequestRejected", Access: "a", Refresh: "next", Message: "the provider's reply holds outputs of more than 65536 bytes together, up to the output profile"}},
		"as many values as allowed": {"the bound is inclusive", 200, `{` + tokens + `,"x":` + list(jsontext.MaxValues-4) + `}`,
			want{Reason: "Refreshed", Access: "a", Refresh: "next"}},
		"one value too many": {"the refresh token behind them is saved", 200, `{"x":` + list(jsontext.MaxValues-3) + `,` + tokens + `}`,
			want{Reason: "OutcomeUnknown", Access: "a", Refresh: "next", Message: "the provider's reply could not be read as a whole; the refresh token in it is kept" + tooMany}},
		"far too many values beside the token": {"members that cannot hold the token are passed over", 200, `{` + strings.Repeat(`"x":{},`, 20_000) + tokens + `}`,
			want{Reason: "OutcomeUnknown", Access: "a", Refresh: "next", Message: "the provider's reply could not be read as a whole; the refresh token in it is kept" + tooMany}},
		"far too many values and an access token": {"it comes along, and the message says why the rest was not read", 200, `{"access_token":"a","x":` + list(6_000) + `}`,
			want{Reason: "OutcomeUnknown", Access: "a", Message: "the provider's reply could not be read as a whole; it holds an access token (it holds more than 5000 values)"}},
		"far too many values and no token": {"the message says why nothing was read", 200, `{"x":` + list(6_000) + `}`,
			want{Reason: "OutcomeUnknown", Message: "the provider answered 200, with neither an access token nor a refresh token (its body was not read: it holds more than 5000 values)"}},
		"far too many values beside a status that tells": {"rules on the status still count", 401, list(6_000),
			want{Reason: "AppRejected", Message: "the provider answered 401 (its body was not read: it holds more than 5000 values)"}},
		"as deep as allowed": {"the bound is inclusive", 200, `{` + tokens + `,"x":` + nested(jsontext.MaxDepth-1) + `}`,
			want{Reason: "Refreshed", Access: "a", Refresh: "next"}},
		"one level too deep": {"the refresh token behind it is saved", 200, `{"x":` + nested(jsontext.MaxDepth) + `,` + tokens + `}`,
			want{Reason: "OutcomeUnknown", Access: "a", Refresh: "next", Message: "the provider's reply could not be read as a whole; the refresh token in it is kept (it is nested more than 32 deep)"}},
		"a form of as many pairs as allowed": {"the bound is inclusive", 200, strings.Repeat("x=1&", jsontext.MaxValues-2) + "access_token=a&refresh_token=next",
			want{Reason: "Refreshed", Access: "a", Refresh: "next"}},
		"a form of one pair too many": {"the refresh token in it is saved", 200, strings.Repeat("x=1&", jsontext.MaxValues-1) + "access_token=a&refresh_token=next",
			want{Reason: "OutcomeUnknown", Access: "a", Refresh: "next", Message: "the provider's reply could not be read as a whole; the refresh token in it is kept (it holds more than 5000 pairs)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := compiled(t, withOutputs).Refresh.Begin(inputs(), now, "id").Read(provider.Reply{Status: c.status, Body: []byte(c.body)})
			if diff := cmp.Diff(c.want, want{got.Reason, got.Message, got.Grant.AccessToken.Reveal(), got.Grant.RefreshToken.Reveal(), got.UnkeptRefreshToken}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
