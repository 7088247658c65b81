// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package body reads the body of a reply in whatever frame it comes: JSON, a form or text,
// with a prefix, in another encoding, in the midst of a page, or broken off. It is told what
// a token looks like, and judges nothing.
//
// A body may be anything. What is read of it is bounded, and nothing in it is an error: at
// worst it is text.
package body

import (
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Source is a body as it came, and how its description says that it is to be read.
type Source struct {
	Bytes []byte
	// CutShort tells that Bytes are the start of the body alone.
	CutShort bool
	// Flaw says what was wrong with what the body came in; empty: nothing.
	Flaw string
	// Prefix stands before what the body holds, in every reply.
	Prefix string
	Format v1alpha1.ResponseFormat
}

// Content is a body, or a part of one, as expressions see it.
type Content struct {
	Value any
	Kind  Kind
	Ends  bool  // it shows its own end
	Err   error // it holds too much; the value is its text then
	// Flaw says what was wrong with the frame; empty: nothing.
	Flaw string

	rest []byte // what follows it
}

// Kind of a body.
type Kind int

// The kinds of a body.
const (
	Text Kind = iota
	Form
	JSON // an object or a list, which has an end of its own
)

func (c *Content) addFlaw(flaw string) { c.Flaw = strings.TrimPrefix(c.Flaw+", and "+flaw, ", and ") }
