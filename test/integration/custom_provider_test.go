// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// signedProvider takes JSON whose body is signed with the app's secret, and
// nests what it answers. Its refresh token stays.
const signedProvider = `
inputs:
  parameters:
  - {name: shop, required: true, pattern: "^[0-9]+$", description: the shop's number}
refresh:
  request:
    url: https://signed.test/v2/auth/renew
    headers:
      X-Signature: '${hex.encode(hmac.sha256(app.secret, app.key + "|" + refreshToken + "|" + parameters.shop))}'
    json:
      partner: ${app.key}
      grant: {kind: renew, token: '${refreshToken}'}
      shop_id: ${int(parameters.shop)}
  response:
    success: status == 200 && int(body.code) == 0
    accessToken: body.data.token
    expiresIn: int(body.data.ttl_ms) / 1000
    outputs: {region: body.data.region}
    failures:
    - {when: int(body.code) == 17, reason: ReauthorizationRequired}
    message: body.msg
`

// formProvider is asked with GET, answers with a form, and each of its refresh
// tokens works once.
const formProvider = `
refresh:
  request:
    method: GET
    url: https://form.test/token
    query: {appid: '${app.key}', key: '${app.secret}', rt: '${refreshToken}'}
  response:
    format: Form
    success: status == 200 && !has(body.err)
    accessToken: body.at
    refreshToken: body.rt
    expiresIn: body.expires
    failures:
    - {when: body.err == "used", reason: ReauthorizationRequired}
rotation: {mode: SingleUse}
`

// vendor is a small provider of a test's own.
type vendor struct {
	mu      sync.Mutex
	t       *testing.T
	tokens  int
	current string // refresh token
}

func (v *vendor) next(kind string) string {
	v.tokens++
	return fmt.Sprintf("%s-%d", kind, v.tokens)
}

func (v *vendor) signed(rw http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var sent struct {
		Partner string            `json:"partner"`
		Grant   map[string]string `json:"grant"`
		ShopID  json.Number       `json:"shop_id"`
	}
	body, _ := io.ReadAll(r.Body)
	mac := hmac.New(sha256.New, []byte("app-secret"))
	mac.Write([]byte("app-key|" + v.current + "|4711"))
	switch err := json.Unmarshal(body, &sent); {
	case err != nil, r.Method != http.MethodPost, r.URL.Path != "/v2/auth/renew", !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"),
		sent.Partner != "app-key", sent.Grant["kind"] != "renew", !strings.Contains(string(body), `"shop_id":4711`):
		v.t.Errorf("unexpected request %s %s: %s", r.Method, r.URL.Path, body)
		rw.WriteHeader(http.StatusBadRequest)
	case sent.Grant["token"] != v.current, r.Header.Get("X-Signature") != hex.EncodeToString(mac.Sum(nil)):
		v.t.Error("the token or the signature is wrong")
		fmt.Fprint(rw, `{"code":17,"msg":"no"}`)
	default:
		fmt.Fprintf(rw, `{"code":"0","data":{"token":%q,"ttl_ms":"3600000","region":"eu"}}`, v.next("signed"))
	}
}

func (v *vendor) form(rw http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	query := r.URL.Query()
	if r.Method != http.MethodGet || query.Get("appid") != "app-key" || query.Get("key") != "app-secret" || query.Get("rt") != v.current {
		v.t.Errorf("unexpected request %s %s", r.Method, r.URL)
		fmt.Fprint(rw, "err=used")
		return
	}
	v.current = v.next("refresh")
	fmt.Fprintf(rw, "at=%s&rt=%s&expires=3600", v.next("form"), v.current)
}

func TestAProviderNobodyHasSeenIsDescribedInYAMLAlone(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, host, description string
		serve                   func(*vendor, http.ResponseWriter, *http.Request)
		parameters              map[string]string
		edited                  string // a part of the description, and what it becomes
		into                    string
	}{
		{"a signed JSON request", "signed.test", signedProvider, (*vendor).signed, map[string]string{"shop": "4711"},
			"region: body.data.region", "zone: body.data.region"},
		{"a GET answered with a form", "form.test", formProvider, (*vendor).form, nil,
			"format: Form", "format: Auto"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			v := &vendor{t: t, current: "the-seed"}
			server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { each.serve(v, rw, r) }))
			t.Cleanup(server.Close)
			w.trust(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
			// The server's certificate is for example.com.
			describe := func(text string) v1alpha1.ClusterTokenProviderSpec {
				var spec v1alpha1.ClusterTokenProviderSpec
				must(t, yaml.UnmarshalStrict([]byte(strings.ReplaceAll(text, each.host, "example.com")), &spec))
				return spec
			}
			must(t, w.policy.Resolve.Set("example.com:443="+server.Listener.Addr().String()))
			w.start()
			w.provide(describe(each.description))
			w.awaitProvider(metav1.ConditionTrue, v1alpha1.CompiledReason)
			b := builtIn{provider: "custom", parameters: each.parameters, seed: "the-seed",
				app: map[string]string{"app_key": "app-key", "app_secret": "app-secret"}}
			b.create(w, func(spec *v1alpha1.TokenCredentialSpec) {
				spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.ClusterProvider, Name: w.cluster()}
			})
			w.awaitFresh("custom")
			for i := range 3 {
				w.refreshNow("custom", fmt.Sprint("number ", i))
			}
			w.checkCustom(v)

			w.provide(describe(strings.Replace(each.description, each.edited, each.into, 1)))
			w.awaitProvider(metav1.ConditionTrue, v1alpha1.CompiledReason)
			w.refreshNow("custom", "after an edit of the provider")
			w.checkCustom(v)
			if data := w.read("custom-token"); each.parameters != nil && string(data["zone"]) != "eu" {
				t.Error("the target does not follow the edited provider")
			}
		})
	}
}

// refreshNow asks for a refresh and waits until it went well.
func (w *world) refreshNow(name, value string) {
	w.t.Helper()
	count := w.look(name).Status.RefreshCount
	w.askForRefresh(name, value)
	w.await(name, "a refresh that was asked for", func(c *v1alpha1.TokenCredential) bool {
		return c.Status.LastHandledRefreshAt == value && c.Status.RefreshCount > count
	})
	w.awaitFresh(name)
}

// checkCustom checks that the target and the state are up to date.
func (w *world) checkCustom(v *vendor) {
	w.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if token := string(w.read("custom-token")["access_token"]); !strings.HasSuffix(token, fmt.Sprintf("-%d", v.tokens)) {
		w.t.Errorf("the target holds %q, not the token number %d", token, v.tokens)
	}
	if w.state("custom", "refresh_token") != v.current {
		w.t.Error("the state does not hold the provider's current refresh token")
	}
}
