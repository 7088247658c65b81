// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// A mark's digest has two halves, "<shape>-<data>": a token that is as it was
// written is distinguished from one that an earlier template rendered. The shape is of
// the spec, which tells no secret; the data is, and so its half is keyed.

// Rendered reports whether the digest is of data that this template rendered.
func (t *Template) Rendered(digest string) bool {
	shape, _, _ := strings.Cut(digest, "-")
	return shape == t.shape
}

// shapeOf is a digest that covers the texts of the data, or the outputs where there are none,
// and the type and policy. Labels and annotations are compared one by one instead,
// and parameters belong to the mark's source.
func shapeOf(t *Template) string {
	kind := string(t.kind)
	if t.merge {
		kind = "" // the Secret has a type of its own
	}
	return sum([]any{t.source.Data, t.outputs, kind, t.merge}, 6)
}

// DataDigest is a plain digest of a target's data, which is to be keyed before it is
// written anywhere.
func DataDigest(data map[string][]byte) string { return sum(data, 16) }

// sum is the first bytes of a digest of any value that encodes as JSON.
func sum(value any, size int) string {
	encoded, err := json.Marshal(value)
	if err != nil { // Strings, maps of strings and bytes always encode.
		return ""
	}
	digest := sha256.Sum256(encoded)
	return hex.EncodeToString(digest[:size])
}
