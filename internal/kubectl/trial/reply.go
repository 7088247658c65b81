// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/provider"
)

// Read says how the refresh, or else the login, reads a reply.
func (t *Trial) Read(text []byte) (string, error) {
	reply, err := parseReply(text)
	if err != nil {
		return "", err
	}
	outcome := t.begin(cmp.Or(t.provider.Refresh, t.provider.Login)).Read(reply)
	var b strings.Builder
	fmt.Fprintf(&b, "  %s", outcome.Reason)
	if outcome.Message != "" {
		fmt.Fprintf(&b, ": %s", outcome.Message)
	}
	b.WriteString("\n")
	grant := outcome.Grant
	for _, part := range []struct {
		is   bool
		text string
	}{
		{!grant.AccessToken.IsZero(), fmt.Sprintf("an access token of %d bytes, type %s", len(grant.AccessToken.Reveal()), grant.Type)},
		{!grant.AccessToken.IsZero() && !grant.ExpiresAt.IsZero(), "which expires " + grant.ExpiresAt.Sub(t.now).Round(time.Second).String() + " later"},
		{!grant.RefreshToken.IsZero(), fmt.Sprintf("another refresh token, of %d bytes", len(grant.RefreshToken.Reveal()))},
		{len(grant.Outputs) > 0, "outputs " + strings.Join(slices.Sorted(maps.Keys(grant.Outputs)), ", ")},
		{outcome.Remark != "", "with a remark: " + outcome.Remark},
		{outcome.RetryAfter > 0, "to be tried again after " + outcome.RetryAfter.String()},
	} {
		if part.is {
			fmt.Fprintf(&b, "  %s\n", part.text)
		}
	}
	return b.String(), nil
}

// parseReply reads a status, headers and a body.
func parseReply(text []byte) (provider.Reply, error) {
	head, body, _ := bytes.Cut(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
	first, rest, _ := strings.Cut(string(head), "\n")
	status, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || status < 100 || status > 599 {
		return provider.Reply{}, fmt.Errorf("its first line is %q, want a status such as 200", first)
	}
	header := textproto.MIMEHeader{}
	if rest != "" {
		header, err = textproto.NewReader(bufio.NewReader(strings.NewReader(rest + "\n\n"))).ReadMIMEHeader()
		if err != nil && !errors.Is(err, io.EOF) {
			return provider.Reply{}, fmt.Errorf("its headers: %w", err)
		}
	}
	return provider.Reply{Status: status, Header: http.Header(header), Body: bytes.TrimSuffix(body, []byte("\n"))}, nil
}
