// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package onlooker_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/onlooker"
)

const (
	secret = `kept/away+from "onlookers" <&> all`
	pin    = "4711"
)

func digestOf(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// TestWhatIsPlantedIsFound plants each kind of leak that there may be.
func TestWhatIsPlantedIsFound(t *testing.T) {
	t.Parallel()
	sha, short, md := sha1.Sum([]byte(secret)), hex.EncodeToString(digestOf(secret)), md5.Sum([]byte(pin))
	known := hmac.New(sha256.New, []byte("cluster"))
	known.Write([]byte(short[:32]))
	inJSON, _ := json.Marshal(map[string]string{"message": secret})
	twice, _ := json.Marshal(map[string]string{"log": string(inJSON)})
	cases := map[string]string{
		"raw": "x" + secret + "y", "in JSON": string(inJSON), "in JSON inside of JSON": string(twice),
		"for a query": url.QueryEscape(secret), "for a path": url.PathEscape(secret), "for HTML": html.EscapeString(secret),
		"in base64": base64.StdEncoding.EncodeToString([]byte(secret)), "in base64 behind one byte": base64.URLEncoding.EncodeToString([]byte("k" + secret)),
		"in base64 behind two": base64.StdEncoding.EncodeToString([]byte("k:" + secret + "...")), "in hexadecimal": hex.EncodeToString([]byte(secret)),
		"its SHA-256": "sum=" + short, "its SHA-256, cut": "source=" + short[:16] + ",", "its SHA-256, cut to 8": `"seed":"` + short[:8] + `"`,
		"its SHA-256 in base64": base64.StdEncoding.EncodeToString(digestOf(secret)), "its SHA-1": hex.EncodeToString(sha[:]),
		"the digest of its digest": hex.EncodeToString(digestOf(short)), "an HMAC under what all know": hex.EncodeToString(known.Sum(nil)),
		"the digest of a PIN": "pin:" + hex.EncodeToString(digestOf(pin))[:12], "the digest of what a PIN is in": hex.EncodeToString(digestOf(`{"pin":"4711"}`))[:16], "the MD5 of a PIN": hex.EncodeToString(md[:]),
	}
	for name, text := range cases {
		o := &onlooker.Onlooker{}
		o.Hide("the secret", secret)
		o.Hide("the PIN", pin)
		o.Know("cluster")
		o.Know("namespace")
		o.HideWhole("all of it", `{"pin":"4711"}`)
		o.See("a place", text)
		if leaks := o.Leaks(); len(leaks) == 0 || leaks[0].Place != "a place" {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
}

func TestWhatTellsNothingIsNotFound(t *testing.T) {
	t.Parallel()
	o := &onlooker.Onlooker{}
	o.Hide("the secret", secret)
	o.Hide("the PIN", pin)
	key := hmac.New(sha256.New, []byte("nobody knows it"))
	key.Write(digestOf(secret))
	digest := hex.EncodeToString(digestOf(secret))
	for _, text := range []string{
		"", "an event at 2026-11-26T17:47:11Z", "port 4711", digest[:7], "f" + digest[:8] + "f", hex.EncodeToString(key.Sum(nil)),
		`{"uid":"` + digest[:8] + `-0000-4000-8000-000000000000"}`,
	} {
		o.See("a place", text)
	}
	for _, leak := range o.Leaks() {
		t.Error(leak)
	}
}

// TestAFractionIsNoDigest takes secrets whose digests begin like a number.
func TestAFractionIsNoDigest(t *testing.T) {
	t.Parallel()
	decimal, secretOfDecimal := startingLike(regexp.MustCompile(`^[0-9]{8}$`))
	exponent, secretOfExponent := startingLike(regexp.MustCompile(`^[0-9]{7}e$`))
	for _, each := range []struct {
		text, hidden string
		isLeak       bool
	}{
		{"seconds_sum 4717." + decimal + "\n", secretOfDecimal, false},
		{"timestamp_seconds 1." + exponent + "+09\n", secretOfExponent, false},
		{"source=" + decimal, secretOfDecimal, true},
		{"v." + decimal, secretOfDecimal, true},
		{"1." + exponent + ",", secretOfExponent, true},
	} {
		o := &onlooker.Onlooker{}
		o.Hide("the secret", each.hidden)
		o.See("a place", each.text)
		if leaks := o.Leaks(); (len(leaks) > 0) != each.isLeak {
			t.Errorf("in %q a digest is found: %v, want %t", each.text, leaks, each.isLeak)
		}
	}
}

// startingLike is the start of a digest, and a secret that has it.
func startingLike(pattern *regexp.Regexp) (start, hidden string) {
	for i := 0; !pattern.MatchString(start); i++ {
		hidden = fmt.Sprintf("%s-%d", secret, i)
		start = hex.EncodeToString(digestOf(hidden))[:8]
	}
	return start, hidden
}
