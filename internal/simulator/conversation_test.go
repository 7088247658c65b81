// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// macKey is the one random value of the replies.
var macKey = regexp.MustCompile(`("mac_key ?":")[^"]{27}"`)

const (
	mcsFlatReply   = `{"apiVersion":"0.0.1","code":200,"message":"Request has succeeded","token":"refresh-110001-1","access_token":"access-110001-1"}`
	mcsNestedStart = `{"apiVersion":"0.0.1","code":200,"message":"Request has succeeded","results":{"access_token":"access-demo-mcs-1","userImageURL":"profile/1234567890.jpg","timezone":"Asia/Taipei","email":"mcsuser@mediatek.com","nickname":"MCS User","language":"zh-TW","plan":{"name":"Free plan","deviceCount":10,"dataPointCount":100000,"emailCount":100}`
	xiaomiReply    = `{"access_token":"access-demo-xiaomi-1","expires_in":360000,"refresh_token":"refresh-demo-xiaomi-2","scope":"1 3","token_type":"mac","mac_key":"KEY","mac_algorithm":"HmacSha1","openId":"open-demo-xiaomi"}`
	oauthReply     = `{"access_token":"access-demo-oauth2-1","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-demo-oauth2-2","scope":"read write"}`
)

type conversation struct {
	name    string
	options Options
	request request
	status  int
	body    string
	reason  string
}

// check sends each request to a simulator of its own.

func check(t *testing.T, conversations []conversation) {
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, _ := newTest(t, c.options)
			reply := c.request.send(t, s)
			if reply.Code != c.status {
				t.Errorf("status %d, want %d: %s", reply.Code, c.status, c.reason)
			}
			if diff := cmp.Diff(c.body, macKey.ReplaceAllString(reply.Body.String(), `${1}KEY"`)); diff != "" {
				t.Errorf("body (-want +got): %s\n%s", c.reason, diff)
			}
		})
	}
}

func TestNoSuchEndpoint(t *testing.T) {
	t.Parallel()
	s, _ := newTest(t, Options{})
	if reply := (request{method: "GET", url: "https://mcs.mediatek.com/"}).send(t, s); reply.Code != 404 {
		t.Errorf("status %d, want 404", reply.Code)
	}
	if got := s.Counts()["other"].Calls; got != 1 {
		t.Errorf("%d calls to nothing known are counted, want 1", got)
	}
}
