// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import "net/netip"

// addressRange is a block of addresses that nothing on the public Internet has.
type addressRange struct {
	prefix netip.Prefix
	kind   string // completes "the address is ..."
}

// nonPublicRanges follows the IANA special-purpose address registries (RFC 6890
// and its successors), and adds the one public address that a cloud reserves
// for its own hosts. All of IPv6 that lies outside 2000::/3, and is not here, is
// "reserved" too.
var nonPublicRanges = []addressRange{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "of a carrier's shared range"}, // RFC 6598; clouds keep metadata here
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "the cloud platform's own"}, // Azure's WireServer
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},                 // cloud metadata
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"}, // RFC 6890; Oracle's cloud keeps metadata here
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "reserved"}, // RFC 7526: 6to4 relays
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"}, // and broadcast

	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("2001::/23"), "reserved"}, // IETF protocols, Teredo among them
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"}, // RFC 9637
	{netip.MustParsePrefix("fc00::/7"), "private"},            // unique local, RFC 4193; AWS keeps metadata here
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "private"}, // site-local, RFC 3879
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")       // RFC 4291 section 2.4
	nat64         = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052 section 2.1
	localNAT64    = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	sixToFour     = netip.MustParsePrefix("2002::/16")      // RFC 3056 section 2
	compatible    = netip.MustParsePrefix("::/96")          // RFC 4291 section 2.5.5.1
	teredo        = netip.MustParsePrefix("2001::/32")      // RFC 4380 section 4
)

// forms are all addresses that a packet to this one may end up at: itself, and every
// IPv4 address that one of the ways to carry IPv4 in IPv6 puts into it. It is for what
// must not be reached, so it takes in more than a gateway would.
func forms(address netip.Addr) []netip.Addr {
	address = address.WithZone("").Unmap()
	all := []netip.Addr{address}
	if address.Is4() {
		return all
	}
	bytes := address.As16()
	last := [4]byte(bytes[12:16])
	switch {
	case nat64.Contains(address), compatible.Contains(address), isISATAP(bytes):
		all = append(all, netip.AddrFrom4(last))
	case localNAT64.Contains(address): // a /96 inside of it, or itself, by RFC 6052 section 2.2
		all = append(all, netip.AddrFrom4(last), netip.AddrFrom4([4]byte{bytes[6], bytes[7], bytes[9], bytes[10]}))
	case sixToFour.Contains(address):
		all = append(all, netip.AddrFrom4([4]byte(bytes[2:6])))
	case teredo.Contains(address): // the client's address is inverted
		all = append(all, netip.AddrFrom4([4]byte(bytes[4:8])), netip.AddrFrom4([4]byte{^last[0], ^last[1], ^last[2], ^last[3]}))
	}
	return all
}

// isISATAP reports whether an interface identifier holds an IPv4 address (RFC 5214
// section 6.1).
func isISATAP(bytes [16]byte) bool {
	return bytes[8]&^0x03 == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe
}

// nonPublic says what an address is instead of public, or "" for a public one.
// The address has gone through embedded.
func nonPublic(address netip.Addr) string {
	for _, candidate := range nonPublicRanges {
		if candidate.prefix.Contains(address) {
			return candidate.kind
		}
	}
	if address.Is6() && !globalUnicast.Contains(address) {
		return "reserved"
	}
	return ""
}

// embedded is the address that a packet ends up at: the IPv4 address inside an
// IPv4-mapped, NAT64 or 6to4 address, else the address itself without its zone.
func embedded(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	bytes := address.As16()
	switch {
	case nat64.Contains(address):
		return netip.AddrFrom4([4]byte(bytes[12:16]))
	case sixToFour.Contains(address):
		return netip.AddrFrom4([4]byte(bytes[2:6]))
	default:
		return address
	}
}
