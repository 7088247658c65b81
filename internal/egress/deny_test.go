// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// TestAddressesThatAreTakenOut takes networks out, and allows them too.
func TestAddressesThatAreTakenOut(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "an address of a network that was taken out, in any form")
	tests := map[string]struct {
		reason  string
		deny    string
		address string
		denied  bool
	}{
		"a public address":                 {"it is taken out beside the rule for public ones", "8.8.8.0/24", "8.8.8.8", true},
		"its neighbour":                    {"the network ends there", "8.8.8.0/24", "8.8.9.8", false},
		"a private address":                {"it wins over what is allowed", "10.96.0.0/12", "10.96.0.1", true},
		"a private address beside it":      {"what is allowed stays so", "10.96.0.0/12", "10.1.0.1", false},
		"an address alone":                 {"it stands for itself", "8.8.8.8", "8.8.8.8", true},
		"mapped into IPv6":                 {"the kernel connects to the address inside", "10.96.0.0/12", "::ffff:10.96.0.1", true},
		"taken out as mapped":              {"both notations name the same addresses", "::ffff:10.96.0.0/108", "10.96.0.1", true},
		"through NAT64":                    {"RFC 6052: the gateway connects to the address inside", "10.96.0.0/12", "64:ff9b::a60:1", true},
		"through a NAT64 of one's own":     {"RFC 8215", "10.96.0.0/12", "64:ff9b:1::a60:1", true},
		"... with a prefix of 48 bits":     {"RFC 6052 section 2.2: the address is in the middle", "10.96.0.0/12", "64:ff9b:1:a60:0:100::", true},
		"through 6to4":                     {"RFC 3056", "10.96.0.0/12", "2002:a60:1::1", true},
		"through Teredo":                   {"RFC 4380: the client's address is inverted", "10.96.0.0/12", "2001:0:808:808:0:0:f59f:fffe", true},
		"through ISATAP":                   {"RFC 5214", "10.96.0.0/12", "2606:4700::5efe:a60:1", true},
		"compatible with IPv4":             {"RFC 4291 section 2.5.5.1", "10.96.0.0/12", "::10.96.0.1", true},
		"an IPv6 network":                  {"written as it is", "2606:4700::/32", "2606:4700::1111", true},
		"a range of NAT64, as it is":       {"an admin may name the address as it is written", "64:ff9b::/96", "64:ff9b::808:808", true},
		"with a zone":                      {"a zone is no part of the address", "fe80::/10", "fe80::1%eth0", true},
		"all of IPv4":                      {"nothing is left of it", "0.0.0.0/0", "8.8.8.8", true},
		"all of IPv4, and an IPv6 address": {"it is no IPv4 address", "0.0.0.0/0", "2606:4700::1111", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := policyOf(t, "--egress-allow-cidrs=0.0.0.0/0,::/0", "--egress-deny-cidrs="+test.deny)
			err := policy.checkAddress(netip.MustParseAddr(test.address), "auth.example.com")
			if (err != nil) != test.denied {
				t.Fatalf("%s: got %v, denied should be %v\nreason: %s", test.address, err, test.denied, test.reason)
			}
			if err != nil && (!errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "of auth.example.com is among those that --egress-deny-cidrs takes out")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOneSpellingOfAHost(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a host spelt otherwise than the flags")
	for name, test := range map[string]struct {
		reason, flag, url string
	}{
		"capitals and the root's dot": {"DNS does not know them", "--egress-allow-hosts=Auth.Example.COM.", "https://AUTH.example.com./"},
		"an international name":       {"it is sent as Punycode", "--egress-allow-hosts=bücher.example", "https://xn--bcher-kva.example/"},
		"names under such a name":     {"it is sent as Punycode", "--egress-allow-hosts=*.bücher.example", "https://a.XN--BCHER-KVA.example/"},
		"an IPv6 address":             {"as netip writes it", "--egress-allow-hosts=[2606:4700:0:0::1111]", "https://[2606:4700::1111]/"},
		"an IPv4 address in IPv6":     {"the same endpoint", "--egress-allow-hosts=8.8.8.8", "https://[::ffff:808:808]/"},
		"plain HTTP to a padded port": {"the dialler reads a number", "--egress-allow-plain-http=auth.example.com:8080", "http://auth.example.com:08080/"},
		"plain HTTP to the default":   {"http means 80", "--egress-allow-plain-http=auth.example.com:80", "http://auth.example.com/"},
		"a padded port in the flag":   {"the dialler reads a number", "--egress-allow-plain-http=auth.example.com:0080", "http://auth.example.com:80/"},
		"sent elsewhere":              {"or a token would go where the flag says that it must not", "--egress-resolve=8.8.8.8:443=1.1.1.1:443", "https://[::FFFF:8.8.8.8]:0443/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, err := url.Parse(test.url)
			if err != nil {
				t.Fatal(err)
			}
			policy := policyOf(t, test.flag)
			if err := policy.Check(target); err != nil {
				t.Errorf("%s with %s: %v\nreason: %s", test.url, test.flag, err, test.reason)
			}
			if _, found := policy.Resolve.lookup(canonicalHost(target.Hostname()), portOf(target)); len(policy.Resolve) > 0 && !found {
				t.Errorf("%s is not sent where %s says\nreason: %s", test.url, test.flag, test.reason)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		reason string
		size   Size
		shown  string
	}{
		"256Ki":   {"the default, as the docs write it", DefaultMaxReply, "256Ki"},
		"65536":   {"bytes", 64 << 10, "64Ki"},
		"1Mi":     {"a larger unit", 1 << 20, "1Mi"},
		"20001":   {"it need not be round", 20_001, "20001"},
		"16Ki":    {"the least", minReply, "16Ki"},
		"4Mi":     {"the most", maxReply, "4Mi"},
		"16383":   {"one byte less than the least", 0, ""},
		"4194305": {"one byte more than the most", 0, ""},
		"9999Mi":  {"far more", 0, ""},
		"":        {"no number", 0, ""},
		"-1":      {"no size", 0, ""},
		"1Gi":     {"no unit of this flag", 0, ""},
		"1k":      {"not clear whether 1000 or 1024", 0, ""},
	} {
		var size Size
		err := size.Set(text)
		if (err != nil) != (want.size == 0) || size != want.size || size.String() != want.shown {
			t.Errorf("%q gives %d (%q), %v; want %d (%q)\nreason: %s", text, size, size, err, want.size, want.shown, want.reason)
		}
	}
}
