// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

const description = `
refresh:
  request: {url: "https://id.example/token", form: {refresh_token: "${refreshToken}"}}
  response: {accessToken: body.access_token}
authorize:
  device:
    request: {url: "https://id.example/device", form: {client_id: "${app.key}"}}
    token:
      request: {url: "https://id.example/token", form: {device_code: "${authorization.deviceCode}"}}
      response:
        refreshToken: body.?refresh_token
        failures:
        - {when: body.error == "authorization_pending", reason: ProviderUnavailable}
        - {when: body.error == "slow_down", reason: RateLimited}
        - {when: has(body.error), reason: ReauthorizationRequired}
        message: body.?error_description.or(body.?error)
`

// provided answers each request with the next of these bodies; "" is a connection that
// breaks. The first is for the device's codes.
type provided struct {
	bodies []string
	at     []time.Time
	clock  *steps
}

func (p *provided) RoundTrip(*http.Request) (*http.Response, error) {
	p.at = append(p.at, p.clock.Now())
	if len(p.bodies) == 0 {
		return nil, errors.New("nothing more was expected")
	}
	body := p.bodies[0]
	p.bodies = p.bodies[1:]
	if body == "" {
		return nil, errors.New("the connection broke")
	}
	status := http.StatusOK
	if strings.Contains(body, `"error"`) {
		status = http.StatusBadRequest
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// steps is a clock that goes on where somebody waits for it.
type steps struct{ *clocktesting.FakeClock }

func (s *steps) After(d time.Duration) <-chan time.Time {
	s.Step(d)
	c := make(chan time.Time, 1)
	c <- s.Now()
	return c
}

const (
	deviceCode = "a-device-code-that-nobody-reads"
	pending    = `{"error": "authorization_pending"}`
	slowDown   = `{"error": "slow_down"}`
	tokens     = `{"refresh_token": "the-refresh-token"}`
)

func device(more string) string {
	return `{"device_code": "` + deviceCode + `", "user_code": "WDJB-MJHT", "verification_uri": "https://id.example/enter"` + more + `}`
}

// TestADeviceAsksInThePaceThatItIsTold holds the poller to RFC 8628 section 3.5.
func TestADeviceAsksInThePaceThatItIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		bodies []string
		pauses string // between the calls
		fails  string
	}{
		"at once":              {"the pause comes first", []string{device(`, "interval": 2`), tokens}, "2s", ""},
		"no interval":          {"five seconds are the default", []string{device(``), pending, tokens}, "5s 5s", ""},
		"pending":              {"the pause stays", []string{device(`, "interval": 2`), pending, pending, tokens}, "2s 2s 2s", ""},
		"slow down":            {"five seconds more, for good", []string{device(`, "interval": 2`), slowDown, pending, slowDown, tokens}, "2s 7s 7s 12s", ""},
		"a broken connection":  {"it backs off", []string{device(`, "interval": 2`), "", "", tokens}, "2s 4s 8s", ""},
		"an interval in text":  {"some write it so", []string{device(`, "interval": "3"`), tokens}, "3s", ""},
		"an interval of a day": {"nobody waits so long", []string{device(`, "interval": 86400, "expires_in": 86400`), tokens}, "5m0s", ""},
		"expired":              {"the next call would come too late", []string{device(`, "interval": 4, "expires_in": 10`), pending, pending}, "4s 4s", "nobody entered the code before it expired"},
		"denied":               {"the person said no", []string{device(`, "interval": 2`), pending, `{"error": "access_denied"}`}, "2s 2s", "access was not granted: ReauthorizationRequired: the provider answered 400: access_denied"},
		"the code is quoted":   {"it is a secret", []string{device(`, "interval": 2`), `{"error": "x", "error_description": "no ` + deviceCode + ` here"}`}, "2s", "no [redacted] here"},
		"no code":              {"nothing to enter", []string{`{"interval": 2}`}, "", "the provider gave no code for a device"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &steps{clocktesting.NewFakeClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
			answers := &provided{bodies: c.bodies, clock: clock}
			var said strings.Builder
			flow := &Flow{
				Provider: compiled(t), Inputs: provider.Inputs{AppKey: secret.New("app")}, Clock: clock,
				Caller: Caller{Client: &http.Client{Transport: answers}},
				Say:    func(format string, arguments ...any) { fmt.Fprintf(&said, format+"\n", arguments...) },
			}
			got, err := flow.Device(t.Context())
			switch {
			case c.fails == "" && (err != nil || got.Reveal() != "the-refresh-token"):
				t.Errorf("it brings no token (%s): %v", c.reason, err)
			case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
				t.Errorf("the error is %v, want %q (%s)", err, c.fails, c.reason)
			}
			var pauses []string
			for i := 1; i < len(answers.at); i++ {
				pauses = append(pauses, answers.at[i].Sub(answers.at[i-1]).String())
			}
			if all := strings.Join(pauses, " "); all != c.pauses {
				t.Errorf("it paused %s, want %s (%s)", all, c.pauses, c.reason)
			}
			if shown := fmt.Sprint(said.String(), err); strings.Contains(shown, deviceCode) || strings.Contains(shown, "the-refresh-token") {
				t.Errorf("a secret is shown: %s", shown)
			}
		})
	}
}

func compiled(t *testing.T) *provider.Provider {
	t.Helper()
	var spec v1alpha1.ClusterTokenProviderSpec
	if err := yaml.UnmarshalStrict([]byte(description), &spec); err != nil {
		t.Fatal(err)
	}
	p, err := compile.Provider("example", spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatIsPastedIsReadAsAPersonMeansIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason, line string
		unbound      bool
		code, fails  string
	}{
		"a code":                   {"PKCE binds it", "the-code", false, "the-code", ""},
		"a code without PKCE":      {"it may be another's", "the-code", true, "", "paste the whole address"},
		"an address":               {"its state is ours", "https://shop.example/cb?code=the-code&state=ours", true, "the-code", ""},
		"a query":                  {"some browsers show no more", "?state=ours&code=the-code", false, "the-code", ""},
		"an address of another":    {"RFC 6749 section 10.12", "https://shop.example/cb?code=the-code&state=theirs", false, "", "belongs to another login"},
		"an address without state": {"the same", "https://shop.example/cb?code=the-code", false, "", "belongs to another login"},
		"an address with fragment": {"browsers add some", "https://shop.example/cb?code=the-code&state=ours#_=_", false, "the-code", ""},
		"the page itself":          {"an easy mistake", "https://id.example/authorize", false, "", "holds no code"},
		"a refusal":                {"the person said no", "https://shop.example/cb?state=ours&error=access_denied&error_description=no+the-verifier", false, "", "access was not granted: access_denied: no [redacted]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := reading{state: "ours", isBound: !c.unbound, hidden: []string{"the-verifier"}}.pasted(c.line)
			if got.code.Reveal() != c.code {
				t.Errorf("the code is %q, want %q (%s)", got.code.Reveal(), c.code, c.reason)
			}
			if (c.fails == "") != (got.err == nil) || got.err != nil && !strings.Contains(got.err.Error(), c.fails) {
				t.Errorf("the error is %v, want %q (%s)", got.err, c.fails, c.reason)
			}
		})
	}
}

func TestNothingGoesOverANetworkInClear(t *testing.T) {
	t.Parallel()
	for target, c := range map[string]struct {
		allows, goes bool
	}{
		"https://id.example/token":    {false, true},
		"http://id.example/token":     {false, false},
		"http://id.example:80/token":  {true, true},
		"http://127.0.0.1:8080/token": {false, true},
		"http://[::1]:8080/token":     {false, true},
		"http://localhost.example/":   {false, false},
	} {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := (&Caller{AllowPlainHTTP: c.allows}).allow(request.URL); (err == nil) != c.goes {
			t.Errorf("%s: %v", target, err)
		}
	}
}
