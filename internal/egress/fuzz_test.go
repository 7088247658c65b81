// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"flag"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzAddress asks for an address in every form in which it may come.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"8.8.8.8", "10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::",
		"2001:0:808:808:0:0:f5ff:fffe", "2606:4700::5efe:a00:1", "::10.0.0.1", "fe80::1%eth0", "2606:4700::1111", "fd00:ec2::254",
	} {
		f.Add(seed)
	}
	denied := CIDRs{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2606:4700::/32")}
	everything := CIDRs{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	f.Fuzz(func(t *testing.T, text string) {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return
		}
		inside := embedded(address)
		if err := (&Policy{}).checkAddress(address, "host"); err == nil && nonPublic(inside) != "" {
			t.Errorf("%s is called, which is %s", address, nonPublic(inside))
		}
		strict := &Policy{AllowCIDRs: everything, DenyCIDRs: denied}
		if err := strict.checkAddress(address, "host"); err == nil && (denied.contain(inside) || denied.contain(address.Unmap().WithZone(""))) {
			t.Errorf("%s is called, which was taken out", address)
		}
		if inside.Is4() {
			for _, form := range []netip.Addr{
				netip.AddrFrom16(inside.As16()), through(nat64, 12, inside), through(localNAT64, 12, inside), through(sixToFour, 2, inside),
			} {
				if err := strict.checkAddress(form, "host"); err == nil && denied.contain(inside) {
					t.Errorf("%s is called, which leads to %s", form, inside)
				}
			}
		}
	})
}

// through puts an IPv4 address into a prefix, at this byte.
func through(prefix netip.Prefix, at int, inside netip.Addr) netip.Addr {
	bytes := prefix.Addr().As16()
	four := inside.As4()
	copy(bytes[at:], four[:])
	return netip.AddrFrom16(bytes)
}

// FuzzFlags sets every flag, and asks what it lets through.
func FuzzFlags(f *testing.F) {
	for _, seed := range [][2]string{
		{"auth.example.com", "https://auth.example.com/token"}, {"*.example.com", "https://a.b.example.com./"}, {"10.0.0.0/8,::1", "https://[::1]:0443/"},
		{"localhost:8080,[::1]", "http://[::1]:8080"}, {"auth.example.com:443=127.0.0.1:8443", "https://AUTH.example.com:443"}, {"256Ki", "https://8.8.8.8"},
		{"bücher.example", "https://xn--bcher-kva.example"}, {",", "https://%zz"}, {"::ffff:10.0.0.0/104", "https://[::ffff:10.0.0.7]"}, {"0.0.0.0:0", "https:///x"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, value, address string) {
		target, err := url.Parse(address)
		if err != nil {
			return
		}
		for _, name := range []string{plainHTTPFlag, cidrsFlag, denyFlag, hostsFlag, resolveFlag, replyFlag} {
			var policy, again Policy
			if set(&policy, name, value) != nil {
				continue
			}
			// What a flag says of itself is read the same again.
			shown := shownBy(&policy, name)
			if err := set(&again, name, shown); shown != "" && err != nil {
				t.Errorf("--%s=%q shows as %q, which cannot be read: %v", name, value, shown, err)
			} else if shown != shownBy(&again, name) {
				t.Errorf("--%s=%q shows as %q, and that as %q", name, value, shown, shownBy(&again, name))
			}
			err := policy.Check(target)
			if name == hostsFlag && err == nil && !policy.AllowHosts.match(canonicalHost(target.Hostname())) {
				t.Errorf("%s is called, which --%s=%q does not list", address, name, value)
			}
			if name != plainHTTPFlag && err == nil && !strings.EqualFold(target.Scheme, "https") {
				t.Errorf("%s is called over %s", address, target.Scheme)
			}
		}
	})
}

func set(policy *Policy, name, value string) error {
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	policy.AddFlags(flags)
	return flags.Set(name, value)
}

func shownBy(policy *Policy, name string) string {
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	policy.AddFlags(flags)
	return flags.Lookup(name).Value.String()
}
