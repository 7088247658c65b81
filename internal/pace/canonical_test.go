// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"net/url"
	"testing"

	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestCanonicalHost(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a host spelt in many ways")
	cases := map[string]struct{ reason, host, want string }{
		"as it is":                       {"most hosts are written so", "auth.example", "auth.example"},
		"capitals":                       {"DNS does not know them", "Auth.EXAMPLE", "auth.example"},
		"the root's dot":                 {"it names the same host", "auth.example.", "auth.example"},
		"the root's dot, and a port":     {"it names the same host", "auth.example.:443", "auth.example"},
		"the default port":               {"https means 443", "auth.example:443", "auth.example"},
		"the default port, padded":       {"the dialler reads a number", "auth.example:0443", "auth.example"},
		"the default port of http":       {"one host, however it is called", "auth.example:80", "auth.example"},
		"no port after the colon":        {"RFC 3986 allows it", "auth.example:", "auth.example"},
		"another port":                   {"another server", "auth.example:08443", "auth.example:8443"},
		"an international name":          {"sent as Punycode", "Bücher.example", "xn--bcher-kva.example"},
		"... in Punycode already":        {"the same host", "XN--BCHER-KVA.example", "xn--bcher-kva.example"},
		"... with an ideographic stop":   {"IDNA maps it to a dot", "bücher。example", "xn--bcher-kva.example"},
		"full-width letters":             {"IDNA maps them", "ａｕｔｈ.example", "auth.example"},
		"an IPv4 address":                {"as netip writes it", "192.0.2.1:443", "192.0.2.1"},
		"an IPv4 address in full width":  {"IDNA maps it first", "１９２.0.2.1", "192.0.2.1"},
		"an IPv4 address mapped to IPv6": {"the same endpoint", "[::ffff:192.0.2.1]:8443", "192.0.2.1:8443"},
		"... in hexadecimal":             {"the same endpoint", "[::FFFF:c000:201]", "192.0.2.1"},
		"an IPv6 address":                {"as netip writes it", "[2001:DB8:0:0:0:0:0:1]:443", "[2001:db8::1]"},
		"an IPv6 address with a port":    {"another server", "[2001:db8::0001]:8443", "[2001:db8::1]:8443"},
		"an IPv6 address, no brackets":   {"what follows its last colon is no port", "2001:db8::443", "[2001:db8::443]"},
		"a zone":                         {"part of the address", "[fe80::1%eth0]", "[fe80::1%eth0]"},
		"an underscore":                  {"no host name, but DNS has such", "My_Host.example", "my_host.example"},
		"nothing":                        {"it is not for here to refuse", "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := CanonicalHost(c.host); got != c.want {
				t.Errorf("%s: %q becomes %q, want %q", c.reason, c.host, got, c.want)
			}
		})
	}
}

func TestACanonicalHostStaysAsItIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		host := rapid.OneOf(rapid.String(), rapid.StringMatching(`\[?[a-fA-F0-9:.ü%]{0,20}\]?(:[0-9]{0,5})?`)).Draw(t, "host")
		if _, err := url.Parse("https://" + host + "/"); err != nil {
			return // url.URL.Host holds no such thing
		}
		once := CanonicalHost(host)
		if twice := CanonicalHost(once); twice != once {
			t.Fatalf("%q becomes %q, and that %q", host, once, twice)
		}
	})
}
