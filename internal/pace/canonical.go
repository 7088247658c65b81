// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// defaultPorts are those of https and of http. A host that is called by both is one
// host: whoever calls it draws on the same share of it.
var defaultPorts = []string{"443", "80"}

// CanonicalHost is a URL's host, with its port if that is not 443 or 80, in the one form in
// which hosts are compared: lower case, international names in Punycode, without the
// root's trailing dot, addresses as netip writes them. Without it, a tenant has as many
// hosts, and shares of what is shared by host, as there are spellings of one.
//
// It takes what url.URL.Host holds. What is no host comes back in lower case.
func CanonicalHost(host string) string {
	name, port := splitPort(host)
	if slices.Contains(defaultPorts, port) {
		port = ""
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if !isASCII(bare) && !strings.Contains(bare, "%") { // after a % is an address's zone
		if mapped, err := idna.Lookup.ToASCII(bare); err == nil {
			bare = mapped
		}
	}
	bare = strings.TrimRight(strings.ToLower(bare), ".")
	if address, err := netip.ParseAddr(bare); err == nil {
		bare = address.Unmap().String()
	}
	if strings.Contains(bare, ":") {
		bare = "[" + bare + "]"
	}
	if port != "" {
		return bare + ":" + port
	}
	return bare
}

// splitPort cuts off what follows the last colon that is not in brackets, without
// leading zeros. Of an address without brackets ("::1") it cuts nothing.
func splitPort(host string) (name, port string) {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || strings.HasSuffix(host, "]") {
		return host, ""
	}
	if strings.Contains(host[:colon], ":") && !strings.HasSuffix(host[:colon], "]") {
		return host, ""
	}
	name, port = host[:colon], host[colon+1:]
	if number, err := strconv.ParseUint(port, 10, 16); err == nil {
		port = strconv.FormatUint(number, 10)
	}
	return name, port
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
