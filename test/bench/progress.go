// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// progressPause is how often something that takes long says how it goes.
const progressPause = 10 * time.Second

// progress tells a person what is going on.
type progress struct {
	began time.Time

	mu     sync.Mutex
	output io.Writer
}

func newProgress(output io.Writer) *progress { return &progress{began: time.Now(), output: output} }

// say prints a line with the time since the start.
func (p *progress) say(format string, arguments ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := time.Since(p.began).Round(time.Second)
	fmt.Fprintf(p.output, "[%3d:%02d] %s\n", int(since.Minutes()), int(since.Seconds())%60, fmt.Sprintf(format, arguments...))
}

// everyPause calls until the context ends.
func (p *progress) everyPause(ctx context.Context, call func()) {
	ticker := time.NewTicker(progressPause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			call()
		}
	}
}
