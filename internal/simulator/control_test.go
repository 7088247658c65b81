// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func control(method, path, body string) request {
	return request{method, "https://localhost/_simulator/" + path, "", jsonType, body}
}

func TestControl(t *testing.T) {
	t.Parallel()
	s, _ := newTest(t, Options{})
	for _, step := range []struct {
		name    string
		request request
		status  int
		holds   string
	}{
		{"seed", control("POST", "seed", `{"apps":[{"vendor":"xiaomi","key":"7","secret":"s","redirectURI":"https://r"}],"grants":[{"id":"g","vendor":"xiaomi","app":"7","rotation":{"reuseWindow":"5s"}}]}`), 200,
			`[{"id":"g","vendor":"xiaomi","app":"7","refreshToken":"refresh-g-1","rotation":{"reuseWindow":"5s"}}]`},
		{"a seed that is wrong", control("POST", "seed", `{"grants":[{"id":"g","vendor":"xiaomi","app":"7"}]}`), 400, `grant g exists`},
		{"a typo", control("POST", "seed", `{"grant":[]}`), 400, `unknown field`},
		{"one grant", control("GET", "grants/g", ""), 200, `"current":"refresh-g-1"`},
		{"no such grant", control("GET", "grants/none", ""), 404, `no such grant`},
		{"all grants", control("GET", "grants", ""), 200, `"id":"demo-xiaomi"`},
		{"revoke", control("DELETE", "grants/g", ""), 200, `{}`},
		{"introspect", control("POST", "introspect", `{"token":"refresh-g-1"}`), 200, `{"active":false,"current":true,"grant":"g","known":true}`},
		{"switches", control("PATCH", "options", `{"xiaomi":{"prefix":"None","accessTokenLifetime":"5s"}}`), 200, `"accessTokenLifetime":"5s"`},
		{"a switch that is none", control("PATCH", "options", `{"xiaomi":{"accessTokenLifetime":"-5s"}}`), 400, `is no duration`},
		{"the switches as they are", control("GET", "options", ""), 200, `"scope":"1 3","contentType"`},
		{"the switch works", xiaomiRefresh(DemoXiaomiRefreshToken), 200, `"expires_in":5,`},
		{"a fault", control("POST", "faults", `{"match":{"vendor":"mcs"},"fault":{"reply":{"status":418,"body":"tea"},"afterActing":true}}`), 200, `{"queued":1}`},
		{"the fault happens", mcsRefresh(DemoMCSUserToken), 418, `tea`},
		{"the queue is empty", control("GET", "faults", ""), 200, `{"queued":0}`},
		{"unavailable", control("PUT", "unavailable", `{"match":{},"unavailable":true}`), 200, `"unavailable":true`},
		{"it is", mcsRefresh(DemoMCSUserToken), 503, `503`},
		{"available", control("DELETE", "faults", ""), 200, `{}`},
		{"it is again", mcsRefresh(DemoMCSUserToken), 200, `access-demo-mcs-2`},
		{"the log", control("GET", "log?after=3", ""), 200, `"serial":4`},
		{"counts", control("GET", "counts", ""), 200, `"mcs/refresh":{"calls":3,"faulty":2,"refused":0,"byStatus":{"200":1,"418":1,"503":1}}`},
		{"forget", control("DELETE", "log", ""), 200, `{}`},
		{"nothing is logged", control("GET", "log", ""), 200, `[]`},
		{"no such thing", control("GET", "nothing", ""), 404, `404`},
		{"a wrong method", control("PUT", "log", ""), 405, `Method Not Allowed`},
	} {
		reply := step.request.send(t, s)
		if reply.Code != step.status || !strings.Contains(reply.Body.String(), step.holds) {
			t.Fatalf("%s: %d %s, want %d with %s", step.name, reply.Code, reply.Body, step.status, step.holds)
		}
	}
}

func TestSwitchesChangeWhileCallsGoOn(t *testing.T) {
	t.Parallel()
	s, _ := newTest(t, Options{OAuth: OAuthOptions{Rotation: Rotation{Mode: Reusable, NewRefreshToken: Never}}})
	var running sync.WaitGroup
	running.Go(func() {
		for range 50 {
			if reply := oauthRefresh(DemoOAuthRefreshToken).send(t, s); reply.Code != 200 {
				t.Errorf("status %d: %s", reply.Code, reply.Body)
			}
		}
	})
	for range 50 {
		control("PATCH", "options", `{"oauth":{"paths":["/oauth/token","/t"],"extra":{"a":1}}}`).send(t, s)
	}
	running.Wait()
	if got := s.Options().OAuth; !slices.Equal(got.Paths, []string{"/oauth/token", "/t"}) || got.Extra["a"] != 1.0 {
		t.Errorf("the switches are %+v", got)
	}
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	var observed []int64
	s, _ := newTest(t, Options{LogSize: 3, Observe: func(e Entry) { observed = append(observed, e.Serial) }})
	for range 5 {
		xiaomiRefresh("unknown").send(t, s)
	}
	huge := control("POST", "", strings.Repeat("x", 2*maxLoggedBody))
	huge.url = "https://localhost/"
	huge.send(t, s)
	var serials []int64
	for _, entry := range s.Log(0) {
		serials = append(serials, entry.Serial)
		if len(entry.Body) > maxLoggedBody {
			t.Errorf("%d bytes of a body are kept", len(entry.Body))
		}
	}
	if diff := cmp.Diff([]int64{4, 5, 6}, serials); diff != "" {
		t.Errorf("the last three are kept (-want +got):\n%s", diff)
	}
	if len(s.Log(5)) != 1 || len(s.Log(6)) != 0 {
		t.Error("the log is read from where one was")
	}
	if got := s.Counts()["xiaomi/refresh"]; got.Calls != 5 || got.Refused != 5 || got.ByStatus[200] != 5 {
		t.Errorf("all are counted: %+v", got)
	}
	if diff := cmp.Diff([]int64{1, 2, 3, 4, 5, 6}, observed); diff != "" {
		t.Errorf("all are observed (-want +got):\n%s", diff)
	}
}

func TestPrintedCallsHideSecrets(t *testing.T) {
	t.Parallel()
	s, _ := newTest(t, Options{})
	requests := []request{
		mcsRefresh(DemoMCSUserToken), xiaomiRefresh(DemoXiaomiRefreshToken), oauthRefresh(DemoOAuthRefreshToken), oracleRefresh("ccstore", "an-oracle-token"),
		{"POST", "https://shop.example.com/ccstore/v1/login", "", formType, "grant_type=password&username=shopper%40example.com&password=demo-store-password"},
		{"POST", "https://shop.example.com/ccadmin/v1/login", "Bearer " + DemoOracleApplicationKey, formType, "grant_type=client_credentials"},
	}
	for _, r := range requests {
		r.send(t, s)
	}
	var lines strings.Builder
	for _, entry := range s.Log(0) {
		lines.WriteString(entry.String() + "\n")
	}
	for _, secret := range []string{DemoMCSUserToken, DemoMCSAppSecret, mcsBasic, DemoXiaomiRefreshToken, "demo-xiaomi-client-secret", DemoOAuthRefreshToken,
		oauthBasic, "an-oracle-token", DemoOracleStorePassword, DemoOracleApplicationKey} {
		if strings.Contains(lines.String(), secret) {
			t.Errorf("%s is printed:\n%s", secret, lines.String())
		}
	}
	if got := s.Log(5)[0].Grant; got != "110002" {
		t.Errorf("the log names the grant that a login began, got %q", got)
	}
	want := `oauth2 refresh POST auth.example.com/oauth/token grant_type=refresh_token&refresh_token=demo…(24) -> 200 grant=demo-oauth2`
	if !strings.Contains(lines.String(), want) {
		t.Errorf("a line like %q is missing:\n%s", want, lines.String())
	}
}

func TestDurationsReadAsText(t *testing.T) {
	t.Parallel()
	var got struct{ D Duration }
	if err := json.Unmarshal([]byte(`{"D":"1m30s"}`), &got); err != nil || time.Duration(got.D) != 90*time.Second {
		t.Errorf("%v %v", got, err)
	}
	if text, err := json.Marshal(got); err != nil || string(text) != `{"D":"1m30s"}` {
		t.Errorf("%s %v", text, err)
	}
}
