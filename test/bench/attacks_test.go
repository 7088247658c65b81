// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func TestAttacksAreToldApart(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, each := range attacks() {
		names[each.name] = true
	}
	if len(names) != 13 {
		t.Errorf("%d names of attacks, want 13: figures go by them", len(names))
	}
}

func TestABombIsSmallAndHoldsMuch(t *testing.T) {
	t.Parallel()
	body := wideJSON(mebibyte)
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write([]byte(body)); err != nil || writer.Close() != nil {
		t.Fatal(err)
	}
	if len(body) > mebibyte || packed.Len() > 4*kibibyte {
		t.Errorf("%d bytes become %d, want 1 MiB in a few KiB", len(body), packed.Len())
	}
	for name, text := range map[string]string{"wide": body, "deep": deepJSON(1000)} {
		if !json.Valid([]byte(text)) {
			t.Errorf("the %s reply is no JSON, and is refused at its first byte", name)
		}
	}
}

func TestSpellingsAreOfOneHost(t *testing.T) {
	t.Parallel()
	spellings := map[string]bool{}
	for number := range 32 {
		text := spelling(hostileHost, number)
		if _, err := url.Parse("https://" + text + hostilePath); err != nil || pace.CanonicalHost(text) != hostileHost {
			t.Errorf("%s is no spelling of %s: %v", text, hostileHost, err)
		}
		spellings[text] = true
	}
	if len(spellings) != 32 {
		t.Errorf("%d spellings, want 32", len(spellings))
	}
}

func TestASlowKeyReads(t *testing.T) {
	t.Parallel()
	text, err := slowKey(2048)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 || block.Type != "RSA PRIVATE KEY" {
		t.Fatalf("no PEM of a private key: %.60s", text)
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err != nil && strings.Contains(err.Error(), "asn1") {
		t.Errorf("it is refused for its form, before it costs anything: %v", err)
	}
}

// TestTemplatesOfAttacksAreAsCostlyAsTheBoundsAllow: one that is refused costs nothing, and
// so plays no attack.
func TestTemplatesOfAttacksAreAsCostlyAsTheBoundsAllow(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		size int
		data func(int) map[string]string
	}{
		"it renders huge": {hugeToken, hugeRender}, "regular expressions": {matchedToken, matching}, "it takes much memory": {8, compiledLarge},
	} {
		target := v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Data: each.data(1)}}
		template, err := render.NewCompiler().Compile(t.Context(), "attack", target, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		content, err := template.Render(token.Token{AccessToken: secret.New(strings.Repeat("a", each.size)), Type: "Bearer"}, nil)
		if err != nil || len(content.Data) != len(each.data(1)) {
			t.Errorf("%s: %d values are rendered: %v", name, len(content.Data), err)
		}
	}
	if cmp.Equal(compiledLarge(1), compiledLarge(2)) {
		t.Error("two credentials have one template, which is compiled once")
	}
}

func TestWhatIsLateStillCounts(t *testing.T) {
	t.Parallel()
	o := newObserver()
	o.target(shopA, "one", at(0))
	if late := o.unreplaced(at(200)); len(late) > 0 {
		t.Errorf("late by %v, want nothing: no status named a time", late)
	}
	o.status(shopA, at(0), at(1))
	if late := o.unreplaced(at(80)); len(late) > 0 {
		t.Errorf("late by %v when it falls due, want nothing", late)
	}
	if diff := cmp.Diff([]float64{3}, o.unreplaced(at(83))); diff != "" {
		t.Errorf("three seconds after it was due (-want +got):\n%s", diff)
	}
	o.target(shopA, "two", at(84))
	if late := o.unreplaced(at(85)); len(late) > 0 {
		t.Errorf("late by %v, want nothing: it has been replaced, which tells how late that was", late)
	}
}
