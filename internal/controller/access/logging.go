// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// mostVerbose is the highest verbosity at which client-go does not yet log the
// bodies of requests and replies (8 and above) or their headers (7).
const mostVerbose = 6

// WithoutBodies bounds the verbosity of the context's logger, which client-go
// logs with too: the bodies of what is read and written here are Secrets.
func WithoutBodies(ctx context.Context) context.Context {
	logger := log.FromContext(ctx)
	return log.IntoContext(ctx, logger.WithSink(boundedSink{logger.GetSink()}))
}

// boundedSink drops what is more verbose than mostVerbose.
type boundedSink struct{ logr.LogSink }

// Enabled implements logr.LogSink.
func (s boundedSink) Enabled(level int) bool {
	return level <= mostVerbose && s.LogSink.Enabled(level)
}

// WithValues implements logr.LogSink.
func (s boundedSink) WithValues(keysAndValues ...any) logr.LogSink {
	return boundedSink{s.LogSink.WithValues(keysAndValues...)}
}

// WithName implements logr.LogSink.
func (s boundedSink) WithName(name string) logr.LogSink {
	return boundedSink{s.LogSink.WithName(name)}
}
