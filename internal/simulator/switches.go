// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// switches are the options, which may change while calls read them.
type switches struct {
	options atomic.Pointer[Options] // read-only once stored
	mu      sync.Mutex
}

func newSwitches(options Options) *switches {
	s := &switches{}
	s.options.Store(&options)
	return s
}

func (s *switches) load() *Options { return s.options.Load() }

// Options returns the switches as they are, defaults filled in, to
// read.
func (s *switches) Options() Options { return *s.load() }

// Configure changes the switches from the next call on. What is set to its zero
// value gets its default. LogSize stays as New had it.
func (s *switches) Configure(change func(*Options)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	options := *s.load()
	// The copies let the change be made in place while calls read the old ones.
	options.OAuth.Paths = slices.Clone(options.OAuth.Paths)
	options.OAuth.Extra = maps.Clone(options.OAuth.Extra)
	change(&options)
	options = options.withDefaults()
	s.options.Store(&options)
}
