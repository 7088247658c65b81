// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Output is a standard output that says when nobody reads it any more.
type Output struct {
	*os.File
	gone context.CancelFunc
}

// Write implements io.Writer.
func (o Output) Write(data []byte) (int, error) {
	n, err := o.File.Write(data)
	if err != nil {
		o.gone()
	}
	return n, err
}

// UntilStopped is a context that ends once the process is asked to end, or once the reader
// of what it prints has gone, as in `make demo | head`: a program then tidies up. What it
// prints goes to the Output.
//
// SIGPIPE is not what tells of the reader: the same signal comes for every socket whose
// other end has gone, such as that of an operator that was just killed.
func UntilStopped(stdout *os.File) (context.Context, Output, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	return ctx, Output{File: stdout, gone: stop}, stop
}
