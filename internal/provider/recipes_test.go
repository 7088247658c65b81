// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lint"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// recipe is how one is tried: with a reply, and by what it makes of it.
type recipe struct {
	reason string
	reply  provider.Reply
	// access and refresh are the tokens that the reply brings; lifetime is the access token's.
	access, refresh string
	lifetime        time.Duration
	// sends looks at what is sent.
	sends func(t *testing.T, request *http.Request, body string)
	// skip is for what is no description of a provider.
	skip bool
}

var recipeTime = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

func mac(key, message string) string {
	digest := hmac.New(sha256.New, []byte(key))
	digest.Write([]byte(message))
	return string(digest.Sum(nil))
}

func hexOf(text string) string { return hex.EncodeToString([]byte(text)) }

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %q, want %q", what, got, want)
	}
}

func recipes() map[string]recipe {
	ok := func(body string) provider.Reply { return provider.Reply{Status: http.StatusOK, Body: []byte(body)} }
	plain := ok(`{"access_token":"a"}`)
	const claims = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjczMzAyNDV9.x" // exp is two hours after recipeTime
	return map[string]recipe{
		"A signature over the body": {reason: "the header signs the very bytes that are sent", reply: plain, access: "a", lifetime: time.Hour,
			sends: func(t *testing.T, request *http.Request, body string) {
				equal(t, "the body", body, `{"refresh_token":"the-token","timestamp":1767323045}`)
				equal(t, "the signature", request.Header.Get("X-Signature"), base64.StdEncoding.EncodeToString([]byte(mac("the-secret", body))))
			}},
		"A signed query": {reason: "it signs what the query says", reply: ok(`{"code":"0","access_token":"a"}`), access: "a", lifetime: time.Hour,
			sends: func(t *testing.T, request *http.Request, _ string) {
				query := request.URL.Query()
				signed := "/v2/tokenapp_key" + query.Get("app_key") + "refresh_token" + query.Get("refresh_token") + "timestamp" + query.Get("timestamp")
				equal(t, "the signature", query.Get("sign"), strings.ToUpper(hexOf(mac("the-secret", signed))))
			}},
		"AWS Signature Version 4": {reason: "it is what the specification computes", reply: plain, access: "a", lifetime: time.Hour,
			sends: func(t *testing.T, request *http.Request, body string) {
				const day, at, scope = "20260102", "20260102T030405Z", "20260102/eu-west-1/execute-api/aws4_request"
				canonical := "POST\n/token\n\ncontent-type:" + request.Header.Get("Content-Type") + "\nhost:" + request.Host + "\nx-amz-date:" + at + "\n\ncontent-type;host;x-amz-date\n" + hashOf(body)
				key := mac(mac(mac(mac("AWS4the-secret", day), "eu-west-1"), "execute-api"), "aws4_request")
				equal(t, "the date", request.Header.Get("X-Amz-Date"), at)
				equal(t, "the signature", request.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=the-key/"+scope+
					", SignedHeaders=content-type;host;x-amz-date, Signature="+hexOf(mac(key, "AWS4-HMAC-SHA256\n"+at+"\n"+scope+"\n"+hashOf(canonical))))
			}},
		"A reply in XML": {reason: "the text between two marks", access: "a", refresh: "r", lifetime: 5 * time.Minute,
			reply: ok(`<?xml version="1.0"?><session><accessToken>a</accessToken><refreshToken>r</refreshToken><ttl>300</ttl></session>`)},
		"A reply that is the token itself": {reason: "it is no form", reply: ok("v1=abc\n"), access: "v1=abc", lifetime: 15 * time.Minute},
		"A lifetime inside the token":      {reason: "the claim tells", reply: ok(`{"token":"` + claims + `"}`), access: claims, lifetime: 2*time.Hour - 678},
		"More secrets than two":            {reason: "any keys may be named", reply: plain, skip: true},
		"One credential's token for another": {reason: "the other's target is the login Secret", reply: ok(`{"session":"s","ttl":60}`), access: "s", lifetime: time.Minute,
			sends: func(t *testing.T, request *http.Request, _ string) {
				equal(t, "the header", request.Header.Get("Authorization"), "Bearer login-access_token")
			}},
		"One reusable token for several credentials": {reason: "the login sends it", reply: plain, access: "a", lifetime: time.Hour,
			sends: func(t *testing.T, _ *http.Request, body string) {
				equal(t, "the body", body, "grant_type=refresh_token&refresh_token=login-refresh_token&scope=a-parameter")
			}},
		"A very old server": {reason: "this is the operator's", skip: true},
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestRecipes compiles each recipe of the page, sends it, and reads a reply.
func TestRecipes(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	all, seen := recipes(), 0
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		heading, rest, _ := strings.Cut(section, "\n")
		recipe, known := all[heading]
		if !known {
			t.Errorf("the recipe %q is not tried: add it to recipes()", heading)
			continue
		}
		seen++
		t.Run(heading, func(t *testing.T) {
			t.Parallel()
			for _, block := range yamlBlock.FindAllStringSubmatch(rest, -1) {
				switch text := block[1]; {
				case strings.HasPrefix(text, "apiVersion: tokenkeeper.io"):
					for _, document := range strings.Split(text, "\n---\n") {
						if err := yaml.UnmarshalStrict([]byte(document), &v1alpha1.TokenCredential{}); err != nil {
							t.Error(err)
						}
					}
				case !strings.HasPrefix(text, "apiVersion:"):
					tryRecipe(t, text, recipe)
				}
			}
		})
	}
	if seen != len(all) {
		t.Errorf("%d recipes are tried, and %d are on the page", len(all), seen)
	}
}

func tryRecipe(t *testing.T, text string, recipe recipe) {
	t.Helper()
	described := spec(t, text)
	p, err := compile.Provider("example", described)
	if err != nil {
		t.Fatal(err)
	}
	if warnings := lint.Warnings(p, described); len(warnings) > 0 {
		t.Errorf("it is warned of: %v", warnings)
	}
	if recipe.skip {
		return
	}
	inputs := provider.Inputs{AppKey: secret.New("the-key"), AppSecret: secret.New("the-secret"), RefreshToken: secret.New("the-token"),
		Login: map[string]secret.Text{}, Parameters: map[string]string{"scope": "a-parameter"}}
	for _, key := range p.LoginKeys {
		inputs.Login[key] = secret.New("login-" + key)
	}
	call := p.Refresh
	if call == nil {
		call = p.Login
	}
	exchange := call.Begin(inputs, recipeTime, "id")
	request, err := exchange.Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if recipe.sends != nil {
		var body []byte
		if request.Body != nil {
			if body, err = io.ReadAll(request.Body); err != nil {
				t.Fatal(err)
			}
		}
		recipe.sends(t, request, string(body))
	}
	outcome := exchange.Read(recipe.reply)
	got := []string{outcome.Reason, outcome.Grant.AccessToken.Reveal(), outcome.Grant.RefreshToken.Reveal(), outcome.Grant.ExpiresAt.Sub(recipeTime).String()}
	if want := []string{"Refreshed", recipe.access, recipe.refresh, recipe.lifetime.String()}; !slices.Equal(got, want) {
		t.Errorf("%s: reason and tokens are %q, want %q (%s)", recipe.reason, got, want, outcome.Message)
	}
}
