// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package local_test

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/hack/local"
)

func TestAProgramEndsWithTheReaderOfItsOutput(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Close() }()
	ctx, output, stop := local.UntilStopped(writer)
	defer stop()

	writeToNobody(t)
	if _, err := fmt.Fprintln(output, "read"); err != nil || ctx.Err() != nil {
		t.Fatalf("a socket whose other end has gone ended the program (%v, %v); only its output may", err, ctx.Err())
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(output, "not read"); err == nil || ctx.Err() == nil {
		t.Errorf("got %v and %v after the reader had gone; a program that nobody reads should end", err, ctx.Err())
	}
}

// writeToNobody writes to a socket until its other end is known to have gone.
func writeToNobody(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	mine, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mine.Close() }()
	other, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = mine.Write([]byte("x"))
	}
}
