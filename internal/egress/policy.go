// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Policy says which addresses may be called. Its zero value allows https to
// every public address.
type Policy struct {
	// AllowPlainHTTP lists the hosts that may be called without TLS.
	AllowPlainHTTP HostPorts
	// AllowCIDRs lists addresses that may be called although they are not
	// public.
	AllowCIDRs CIDRs
	// DenyCIDRs lists addresses that are never called, be they public or allowed.
	DenyCIDRs CIDRs
	// AllowHosts, unless empty, lists the only hosts that may be called.
	AllowHosts HostPatterns
	// CAFiles are PEM files of authorities that are trusted beside the system's.
	CAFiles Files
	// Resolve sends a host and port elsewhere. The address it leads to must
	// still be public or allowed.
	Resolve Resolutions
	// MaxReply is how large a reply may be, as received and as unpacked; 0:
	// DefaultMaxReply.
	MaxReply Size
}

// AddFlags defines the --egress-* flags, each of which may be repeated.
func (p *Policy) AddFlags(flags *flag.FlagSet) {
	flags.Var(&p.AllowPlainHTTP, plainHTTPFlag,
		"Call these `HOST[:PORT],...` over plain HTTP too; a host without a port stands for all its ports. "+
			"Default: https only.")
	flags.Var(&p.AllowCIDRs, cidrsFlag,
		"Call these addresses (`CIDR,...`) although they are not public, such as 10.0.0.0/8. "+
			"Default: public addresses only, whatever a name resolves to.")
	flags.Var(&p.DenyCIDRs, denyFlag,
		"Never call these addresses (`CIDR,...`), public or not, such as the networks of pods, services and nodes. "+
			"It wins over --"+cidrsFlag+".")
	flags.Var(&p.AllowHosts, hostsFlag,
		"Call these hosts only: `PATTERN,...`, each a name, or *.example.com for all names under it. "+
			"Default: any host.")
	flags.Var(&p.CAFiles, caFileFlag,
		"Trust the certificate authorities in this `PEM` file, beside the system's.")
	flags.Var(&p.Resolve, resolveFlag,
		"Connect to ADDR:PORT where HOST:PORT is called (`HOST:PORT=ADDR:PORT,...`; IPv6 in brackets). "+
			"The certificate must still be HOST's, and the address must be public or among --"+cidrsFlag+".")
	flags.Var(&p.MaxReply, replyFlag,
		"Read replies of at most this `SIZE`, as received and as unpacked, from "+minReply.String()+" to "+maxReply.String()+". "+
			"Default: "+DefaultMaxReply.String()+".")
}

const (
	plainHTTPFlag = "egress-allow-plain-http"
	cidrsFlag     = "egress-allow-cidrs"
	denyFlag      = "egress-deny-cidrs"
	hostsFlag     = "egress-allow-hosts"
	caFileFlag    = "egress-ca-file"
	resolveFlag   = "egress-resolve"
	replyFlag     = "max-reply-size"
)

// Check tells whether a URL may be called, as far as can be said without
// resolving its host: an error is an ErrDenied. What the host resolves to is
// checked when it is dialled.
func (p *Policy) Check(target *url.URL) error {
	host, port := canonicalHost(target.Hostname()), portOf(target)
	if host == "" {
		return denied("the URL names no host; write it as https://HOST/PATH")
	}
	if strings.ContainsFunc(target.Hostname(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return denied("the host %q is not ASCII; write it in its encoded form (xn--...)", target.Hostname())
	}
	if len(p.AllowHosts) > 0 && !p.AllowHosts.match(host) {
		return denied("the host %s is not among those that --%s lists; add it there", host, hostsFlag)
	}
	switch target.Scheme {
	case "https":
	case "http":
		if !p.AllowPlainHTTP.match(host, port) {
			return denied("%s would be called over plain HTTP; write https, or allow it with --%s=%s",
				target.Host, plainHTTPFlag, net.JoinHostPort(host, port))
		}
	default:
		return denied("the URL's scheme is %q; write https", target.Scheme)
	}
	dialled := host
	if elsewhere, found := p.Resolve.lookup(host, port); found {
		dialled = elsewhere.Host
	}
	if address, err := netip.ParseAddr(dialled); err == nil {
		return p.checkAddress(address, host)
	}
	return nil
}

// checkAddress tells whether an address may be dialled for the sake of host. An
// error is an ErrDenied.
func (p *Policy) checkAddress(address netip.Addr, host string) error {
	written := address.WithZone("")
	if p.DenyCIDRs.containAny(forms(address)) {
		return denied("the address %s%s is among those that --%s takes out", written, ofHost(written, host), denyFlag)
	}
	address = embedded(address)
	kind := nonPublic(address)
	if kind == "" || p.AllowCIDRs.contain(address) || p.AllowCIDRs.contain(written) {
		return nil
	}
	return denied("the address %s%s is %s; allow it with --%s=%s",
		address, ofHost(address, host), kind, cidrsFlag, netip.PrefixFrom(address, address.BitLen()))
}

// ofHost says whose address it is, unless the host is the address itself.
func ofHost(address netip.Addr, host string) string {
	if canonicalHost(address.String()) == host {
		return ""
	}
	return " of " + host
}

// portOf is the URL's port, by default its scheme's.
func portOf(target *url.URL) string {
	switch port := target.Port(); {
	case port != "":
		return canonicalPort(port)
	case target.Scheme == "http":
		return "80"
	default:
		return "443"
	}
}

// canonicalHost is the one spelling under which hosts are compared: lower case,
// international names in Punycode, addresses as netip writes them, without brackets,
// zone or final dot.
func canonicalHost(host string) string {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) && !strings.Contains(host, "%") { // after a % is a zone
		if mapped, err := idna.Lookup.ToASCII(host); err == nil {
			host = mapped
		}
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().WithZone("").String()
	}
	return host
}

// canonicalPort is a port without leading zeros, which the dialler ignores.
func canonicalPort(port string) string {
	if number, err := strconv.ParseUint(port, 10, 16); err == nil {
		return strconv.FormatUint(number, 10)
	}
	return port
}

// splitHostPort reads HOST:PORT, with IPv6 addresses in brackets.
func splitHostPort(text string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(text)
	if err != nil || host == "" || !isPort(port) {
		return "", "", fmt.Errorf("%q is not HOST:PORT; write it like auth.example.com:443 or [2001:db8::1]:443", text)
	}
	if host = canonicalHost(host); !isHost(host) {
		return "", "", fmt.Errorf("%q does not start with a host name or an address", text)
	}
	return host, canonicalPort(port), nil
}

func isPort(text string) bool {
	port, err := netip.ParseAddrPort("0.0.0.0:" + text)
	return err == nil && port.Port() != 0
}

// isHost tells whether text may be a canonical host: an address, or letters,
// digits, '-', '_' and dots.
func isHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	labels := strings.Split(text, ".")
	return !slices.Contains(labels, "") && !strings.ContainsFunc(text, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", r)
	})
}
