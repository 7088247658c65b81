// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// HostPort is a host, and a port unless every port is meant.
type HostPort struct{ Host, Port string }

// HostPorts is the value of --egress-allow-plain-http.
type HostPorts []HostPort

// Set implements flag.Value: it adds HOST[:PORT],...
func (h *HostPorts) Set(text string) error {
	return eachOf(text, func(item string) error {
		if host := canonicalHost(item); isHost(host) {
			*h = append(*h, HostPort{Host: host})
			return nil
		}
		host, port, err := splitHostPort(item)
		if err != nil {
			return fmt.Errorf("%q is not HOST[:PORT]; write it like simulator.demo.svc:8080", item)
		}
		*h = append(*h, HostPort{Host: host, Port: port})
		return nil
	})
}

// String implements flag.Value.
func (h *HostPorts) String() string {
	return joined(*h, func(item HostPort) string {
		if item.Port == "" {
			return item.Host
		}
		return net.JoinHostPort(item.Host, item.Port)
	})
}

func (h HostPorts) match(host, port string) bool {
	for _, item := range h {
		if item.Host == host && (item.Port == "" || item.Port == port) {
			return true
		}
	}
	return false
}

// CIDRs is the value of --egress-allow-cidrs.
type CIDRs []netip.Prefix

// Set implements flag.Value: it adds CIDR,...; an address without a length
// stands for itself.
func (c *CIDRs) Set(text string) error {
	return eachOf(text, func(item string) error {
		prefix, err := netip.ParsePrefix(item)
		if address, addressErr := netip.ParseAddr(item); addressErr == nil && address.Zone() == "" {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("%q is not a CIDR; write it like 10.0.0.0/8 or fd00::/8", item)
		}
		// An IPv4 address is compared as one, however it was written.
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		*c = append(*c, prefix.Masked())
		return nil
	})
}

// String implements flag.Value.
func (c *CIDRs) String() string { return joined(*c, netip.Prefix.String) }

func (c CIDRs) contain(address netip.Addr) bool {
	for _, prefix := range c {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// containAny reports whether one of the addresses is among them.
func (c CIDRs) containAny(addresses []netip.Addr) bool {
	return slices.ContainsFunc(addresses, c.contain)
}

// HostPatterns is the value of --egress-allow-hosts.
type HostPatterns []string

// Set implements flag.Value: it adds PATTERN,...
func (h *HostPatterns) Set(text string) error {
	return eachOf(text, func(item string) error {
		name, wild := strings.CutPrefix(item, "*.")
		pattern := canonicalHost(name)
		if wild {
			pattern = "*." + pattern
		}
		if !isHost(strings.TrimPrefix(pattern, "*.")) {
			return fmt.Errorf("%q is not a host pattern; write a name such as auth.example.com, or *.example.com", item)
		}
		*h = append(*h, pattern)
		return nil
	})
}

// String implements flag.Value.
func (h *HostPatterns) String() string { return strings.Join(*h, ",") }

// match tells whether a pattern names the host: *.example.com matches names of
// any depth under example.com, but not example.com itself.
func (h HostPatterns) match(host string) bool {
	for _, pattern := range h {
		if under, wild := strings.CutPrefix(pattern, "*"); wild && strings.HasSuffix(host, under) || pattern == host {
			return true
		}
	}
	return false
}

// Files is the value of --egress-ca-file.
type Files []string

// Set implements flag.Value: it adds one file.
func (f *Files) Set(text string) error {
	if text == "" {
		return errors.New("it is empty; write the path of a PEM file")
	}
	*f = append(*f, text)
	return nil
}

// String implements flag.Value.
func (f *Files) String() string { return strings.Join(*f, ",") }

// Resolution says that calls to From connect to To.
type Resolution struct{ From, To HostPort }

// Resolutions is the value of --egress-resolve. Of two for one host and port the
// last counts.
type Resolutions []Resolution

// Set implements flag.Value: it adds HOST:PORT=ADDR:PORT,...
func (r *Resolutions) Set(text string) error {
	return eachOf(text, func(item string) error {
		from, to, found := strings.Cut(item, "=")
		if !found {
			return fmt.Errorf("%q is not HOST:PORT=ADDR:PORT; write it like auth.example.com:443=127.0.0.1:8443", item)
		}
		host, port, err := splitHostPort(from)
		if err != nil {
			return err
		}
		toHost, toPort, err := splitHostPort(to)
		if err != nil {
			return err
		}
		*r = append(*r, Resolution{From: HostPort{host, port}, To: HostPort{toHost, toPort}})
		return nil
	})
}

// String implements flag.Value.
func (r *Resolutions) String() string {
	return joined(*r, func(item Resolution) string {
		return net.JoinHostPort(item.From.Host, item.From.Port) + "=" + net.JoinHostPort(item.To.Host, item.To.Port)
	})
}

// lookup finds where a canonical host and port lead.
func (r Resolutions) lookup(host, port string) (to HostPort, found bool) {
	for _, item := range r {
		if item.From == (HostPort{host, port}) {
			to, found = item.To, true
		}
	}
	return to, found
}

// eachOf calls add with each item of a list that is separated by commas.
func eachOf(text string, add func(item string) error) error {
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			return fmt.Errorf("the list %q has an empty item; write items with one comma between them", text)
		}
		if err := add(item); err != nil {
			return err
		}
	}
	return nil
}

// joined is the list as eachOf reads it.
func joined[T any](items []T, text func(T) string) string {
	texts := make([]string, 0, len(items))
	for _, item := range items {
		texts = append(texts, text(item))
	}
	return strings.Join(texts, ",")
}
