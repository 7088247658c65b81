// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFlagsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, flag, want string }{
		{"an address that others reach", "--address=0.0.0.0:8443", "not on loopback"},
		{"an address without a port", "--address=127.0.0.1", "write HOST:PORT"},
		{"a window that is no time", "--reuse-window=soon", "is no duration"},
		{"an argument", "help", "is no flag"},
	} {
		if _, err := parse([]string{c.flag}, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestRunAnnouncesAndEnds(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	end() // it listens, announces, and ends at once
	file := filepath.Join(t.TempDir(), "ca.pem")
	var output bytes.Buffer
	if err := run(ctx, []string{"--address=127.0.0.1:0", "--ca-file=" + file}, &output); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--egress-resolve=mcs.mediatek.com:443=127.0.0.1:", "--egress-ca-file=" + file, "--egress-allow-cidrs=127.0.0.0/8", "demo-xiaomi-refresh-token"} {
		if !strings.Contains(output.String(), want) {
			t.Errorf("%q is not announced:\n%s", want, output.String())
		}
	}
	if ca, err := os.ReadFile(file); err != nil || !x509.NewCertPool().AppendCertsFromPEM(ca) {
		t.Errorf("the CA's file does not read: %v", err)
	}
}
