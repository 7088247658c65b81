// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"flag"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// policyOf parses flags, as the manager does.
func policyOf(t *testing.T, flags ...string) Policy {
	t.Helper()
	var policy Policy
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	policy.AddFlags(set)
	if err := set.Parse(flags); err != nil {
		t.Fatalf("parsing %q: %v", flags, err)
	}
	return policy
}

func TestNonPublicAddresses(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "169.254.169.254, ::1, IPv4 in IPv6, private ranges")
	tests := map[string]struct {
		addresses []string
		kind      string // "": public
	}{
		"a public IPv4 address is called": {addresses: []string{"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "198.17.255.255", "223.255.255.255"}},
		"a public IPv6 address is called": {addresses: []string{"2606:4700::1111", "2a00:1450:4001:81b::200e", "2001:4860:4860::8888"}},
		"an address of 6to4 or NAT64 is as public as what it embeds": {
			addresses: []string{"64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"},
		},
		"the unspecified address connects to this host": {addresses: []string{"0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"}, kind: "unspecified"},
		"loopback in every disguise": {
			addresses: []string{"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::1%lo"},
			kind:      "loopback",
		},
		"the metadata address in every disguise": {
			addresses: []string{"169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "fe80::1", "fe80::1%eth0"},
			kind:      "link-local",
		},
		"private ranges in every disguise": {
			addresses: []string{
				"10.0.0.7", "172.16.0.1", "172.31.255.255", "192.168.1.1", "::ffff:10.0.0.7", "64:ff9b::a00:7", "2002:c0a8:101::1",
				"fc00::1", "fd00:ec2::254", "fec0::1",
			},
			kind: "private",
		},
		"the shared range of carriers holds metadata too": {addresses: []string{"100.64.0.1", "100.100.100.200", "100.127.255.255"}, kind: "of a carrier's shared range"},
		"the platform's own address":                      {addresses: []string{"168.63.129.16"}, kind: "the cloud platform's own"},
		"multicast":                                       {addresses: []string{"224.0.0.1", "239.255.255.250", "ff02::1"}, kind: "multicast"},
		"documentation":                                   {addresses: []string{"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"}, kind: "for documentation"},
		"benchmarks":                                      {addresses: []string{"198.18.0.1", "198.19.255.255"}, kind: "for benchmarks"},
		"reserved": {
			addresses: []string{
				"192.0.0.192", "192.88.99.1", "240.0.0.1", "255.255.255.255",
				"::127.0.0.1", "64:ff9b:1::7f00:1", "100::1", "2001::1", "2001:0:7f00:1::", "5f00::1", "4000::1",
			},
			kind: "reserved",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, address := range test.addresses {
				if got := nonPublic(embedded(netip.MustParseAddr(address))); got != test.kind {
					t.Errorf("%s is %q, want %q", address, got, test.kind)
				}
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason string
		flags  []string
		url    string
		want   string // "": allowed
	}{
		"https to a name is allowed": {
			reason: "what the name resolves to is checked when it is dialled",
			url:    "https://auth.example.com/token?secret",
		},
		"plain HTTP is denied": {
			reason: "a token would travel in clear",
			url:    "http://auth.example.com/canary",
			want:   "auth.example.com would be called over plain HTTP; write https, or allow it with --egress-allow-plain-http=auth.example.com:80",
		},
		"plain HTTP to an allowed host is allowed on every port": {
			reason: "a host without a port stands for all",
			flags:  []string{"--egress-allow-plain-http=auth.example.com"},
			url:    "http://AUTH.example.com:8080/",
		},
		"plain HTTP to another port is denied": {
			reason: "the flag named one port",
			flags:  []string{"--egress-allow-plain-http=auth.example.com:8080"},
			url:    "http://auth.example.com:8081/",
			want:   "--egress-allow-plain-http=auth.example.com:8081",
		},
		"plain HTTP to an allowed IPv6 address": {
			reason: "brackets are part of the notation, not of the address",
			flags:  []string{"--egress-allow-plain-http=[2606:4700::1111]:8080"},
			url:    "http://[2606:4700:0::1111]:8080/",
		},
		"another scheme is denied": {
			reason: "only HTTP is spoken",
			url:    "ftp://auth.example.com/canary",
			want:   `the URL's scheme is "ftp"; write https`,
		},
		"a URL without a host is denied": {
			reason: "there is nobody to call",
			url:    "https:///canary",
			want:   "the URL names no host",
		},
		"a private address in the URL is denied": {
			reason: "design section 7: EgressDenied, like one that a name resolves to",
			url:    "https://10.0.0.7/canary",
			want:   "the address 10.0.0.7 is private; allow it with --egress-allow-cidrs=10.0.0.7/32",
		},
		"a private address that is allowed": {
			reason: "the admin said so",
			flags:  []string{"--egress-allow-cidrs=10.0.0.0/8"},
			url:    "https://10.0.0.7/",
		},
		"an IPv4-mapped address is the IPv4 address": {
			reason: "the kernel connects to the address inside",
			url:    "https://[::ffff:169.254.169.254]/latest/meta-data",
			want:   "the address 169.254.169.254 is link-local; allow it with --egress-allow-cidrs=169.254.169.254/32",
		},
		"an IPv4-mapped CIDR is the IPv4 CIDR": {
			reason: "both notations name the same addresses",
			flags:  []string{"--egress-allow-cidrs=::ffff:10.0.0.0/104"},
			url:    "https://10.0.0.7/",
		},
		"a NAT64 range that is allowed as such": {
			reason: "an admin may name the address as it is written",
			flags:  []string{"--egress-allow-cidrs=64:ff9b::/96"},
			url:    "https://[64:ff9b::a00:7]/",
		},
		"an IPv6 loopback address is denied": {
			reason: "it is this host",
			url:    "https://[::1]:8443/",
			want:   "the address ::1 is loopback; allow it with --egress-allow-cidrs=::1/128",
		},
		"a host that is sent to a private address is denied": {
			reason: "--egress-resolve opens no hole in the address check",
			flags:  []string{"--egress-resolve=auth.example.com:443=127.0.0.1:8443"},
			url:    "https://auth.example.com/",
			want:   "the address 127.0.0.1 of auth.example.com is loopback; allow it with --egress-allow-cidrs=127.0.0.1/32",
		},
		"a private address that is sent to a public one": {
			reason: "nothing private is called",
			flags:  []string{"--egress-resolve=10.0.0.7:443=8.8.8.8:443"},
			url:    "https://10.0.0.7/",
		},
		"a host that is not listed is denied": {
			reason: "--egress-allow-hosts narrows",
			flags:  []string{"--egress-allow-hosts=*.example.com,auth.example.org"},
			url:    "https://evil.example.net/canary",
			want:   "the host evil.example.net is not among those that --egress-allow-hosts lists",
		},
		"a wildcard matches at any depth, whatever the case": {
			reason: "names are compared without case and final dot",
			flags:  []string{"--egress-allow-hosts=*.Example.com"},
			url:    "https://a.b.EXAMPLE.com./",
		},
		"a wildcard does not match the name itself": {
			reason: "*.example.com names what lies under it",
			flags:  []string{"--egress-allow-hosts=*.example.com"},
			url:    "https://example.com/",
			want:   "the host example.com is not among",
		},
		"a wildcard does not match a name that merely ends alike": {
			reason: "the dot counts",
			flags:  []string{"--egress-allow-hosts=*.example.com"},
			url:    "https://evilexample.com/",
			want:   "the host evilexample.com is not among",
		},
		"a name outside ASCII is denied": {
			reason: "net/http would map it to another name after the check",
			url:    "https://ｅvil.example.com/",
			want:   "is not ASCII; write it in its encoded form (xn--...)",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, err := url.Parse(test.url)
			if err != nil {
				t.Fatal(err)
			}
			policy := policyOf(t, test.flags...)
			err = policy.Check(target)
			if (err != nil) != (test.want != "") {
				t.Fatalf("Check(%s) = %v, want %q\nreason: %s", test.url, err, test.want, test.reason)
			}
			if err == nil {
				return
			}
			if !errors.Is(err, ErrDenied) || errors.Is(err, ErrNotSent) {
				t.Errorf("%v is not ErrDenied alone", err)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("Check(%s) = %q, want it to hold %q and no path\nreason: %s", test.url, err, test.want, test.reason)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	policy := policyOf(t,
		"--egress-allow-plain-http=localhost:8080,[::1]", "--egress-allow-plain-http", "Simulator.demo.svc",
		"--egress-allow-cidrs=127.0.0.0/8,::1", "--egress-allow-cidrs=10.1.2.3/8",
		"--egress-allow-hosts=*.example.com, auth.example.org",
		"--egress-ca-file=/a.pem", "--egress-ca-file=/b.pem",
		"--egress-resolve=a.example.com:443=127.0.0.1:8443,[2606::1]:443=[::1]:8443",
		"--egress-resolve=b.example.com:443=simulator.demo.svc:8443",
	)
	got := map[string]string{
		"plain http": policy.AllowPlainHTTP.String(), "cidrs": policy.AllowCIDRs.String(), "hosts": policy.AllowHosts.String(),
		"files": policy.CAFiles.String(), "resolve": policy.Resolve.String(),
	}
	want := map[string]string{
		"plain http": "localhost:8080,::1,simulator.demo.svc", "cidrs": "127.0.0.0/8,::1/128,10.0.0.0/8",
		"hosts": "*.example.com,auth.example.org", "files": "/a.pem,/b.pem",
		"resolve": "a.example.com:443=127.0.0.1:8443,[2606::1]:443=[::1]:8443,b.example.com:443=simulator.demo.svc:8443",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lists add up over commas and repetition (-want +got):\n%s", diff)
	}
}

func TestFlagErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"--egress-allow-plain-http=http://a":            `"http://a" is not HOST[:PORT]; write it like simulator.demo.svc:8080`,
		"--egress-allow-plain-http=a:99999":             `"a:99999" is not HOST[:PORT]`,
		"--egress-allow-plain-http=":                    `the list "" has an empty item`,
		"--egress-allow-cidrs=10.0.0.0/33":              `"10.0.0.0/33" is not a CIDR; write it like 10.0.0.0/8 or fd00::/8`,
		"--egress-allow-cidrs=10.0.0.0/8,,fd00::/8":     `has an empty item; write items with one comma between them`,
		"--egress-allow-hosts=*":                        `"*" is not a host pattern; write a name such as auth.example.com, or *.example.com`,
		"--egress-allow-hosts=a.*.example.com":          `"a.*.example.com" is not a host pattern`,
		"--egress-ca-file=":                             `it is empty; write the path of a PEM file`,
		"--egress-resolve=a:443:127.0.0.1":              `is not HOST:PORT=ADDR:PORT; write it like auth.example.com:443=127.0.0.1:8443`,
		"--egress-resolve=a=127.0.0.1:8443":             `"a" is not HOST:PORT; write it like auth.example.com:443 or [2001:db8::1]:443`,
		"--egress-resolve=a:443=::1:8443":               `"::1:8443" is not HOST:PORT`,
		"--egress-resolve=a:443=127.0.0.1:0":            `"127.0.0.1:0" is not HOST:PORT`,
		"--egress-resolve=https://a:443=127.0.0.1:8443": `is not HOST:PORT`,
		"--egress-resolve=a/b:443=127.0.0.1:8443":       `"a/b:443" does not start with a host name or an address`,
	}
	for argument, want := range tests {
		t.Run(argument, func(t *testing.T) {
			t.Parallel()
			var policy Policy
			set := flag.NewFlagSet("test", flag.ContinueOnError)
			set.SetOutput(io.Discard)
			policy.AddFlags(set)
			err := set.Parse([]string{argument})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Parse(%s) = %v, want it to hold %q", argument, err, want)
			}
		})
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	t.Parallel()
	var (
		policy Policy
		help   strings.Builder
	)
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	set.SetOutput(&help)
	policy.AddFlags(set)
	set.PrintDefaults()
	for _, want := range []string{
		"-egress-allow-plain-http HOST[:PORT],...", "-egress-allow-cidrs CIDR,...", "-egress-allow-hosts PATTERN,...",
		"-egress-ca-file PEM", "-egress-resolve HOST:PORT=ADDR:PORT,...",
	} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("--help does not show %q:\n%s", want, help.String())
		}
	}
}
