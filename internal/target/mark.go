// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Mark says which token a target holds. It is an annotation that is written in
// the same write as the token, so that neither is ever there without the other.
//
// It holds no secret. It is no proof against someone who may write the Secret: who
// can forge the mark can replace the token, too.
type Mark struct {
	token.Validity
	// Source names what the token was asked from: the provider and its parameters.
	Source string
	// Requested names the value of the annotation tokenkeeper.io/refreshAt that
	// the token answers; a digest, since the value may be long.
	Requested string
	// Set names the labels and annotations that the template set, so that a later
	// template removes what it sets no more. Publish and Mend fill it in.
	Set string
	// Digest names the data that was written, and the template that it was
	// rendered from. Publish fills it in.
	Digest string
}

// longestMark bounds what is read as a mark: 64 labels and 64 annotations whose
// names are as long as they may be.
const longestMark = 64 << 10

// MarkKey is the annotation that holds a credential's mark.
func MarkKey(uid types.UID) string { return v1alpha1.TokenAnnotationPrefix + string(uid) }

// IsZero reports whether there is no mark.
func (m Mark) IsZero() bool { return m.Validity.IsZero() }

// separators have a meaning in an encoded mark, and are escaped in its values.
var separators = strings.NewReplacer("%", "%25", ",", "%2C", "=", "%3D")

// Encode gives the annotation's value, such as
// "issued=2026-11-26T12:00:00Z,expires=2026-11-26T13:00:00Z,source=ab12,digest=9f3c".
// What is empty is left out.
func (m Mark) Encode() string {
	var text strings.Builder
	add := func(name, value string) {
		if value == "" {
			return
		}
		if text.Len() > 0 {
			text.WriteByte(',')
		}
		text.WriteString(name + "=" + separators.Replace(value))
	}
	add("issued", encodeTime(m.IssuedAt))
	add("expires", encodeTime(m.ExpiresAt))
	add("source", m.Source)
	add("requested", m.Requested)
	add("set", m.Set)
	add("digest", m.Digest)
	return text.String()
}

func encodeTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// ReadMark finds a credential's mark among the annotations of a target. ok is false
// where there is none, or none that can be read: anybody may write an annotation.
// Fields of a newer version are ignored.
func ReadMark(annotations map[string]string, uid types.UID) (mark Mark, ok bool) {
	text, found := annotations[MarkKey(uid)]
	if !found || uid == "" || len(text) > longestMark {
		return Mark{}, false
	}
	for field := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(field, "=")
		value, err := url.PathUnescape(value)
		if err != nil {
			return Mark{}, false
		}
		switch name {
		case "issued":
			mark.IssuedAt, err = time.Parse(time.RFC3339Nano, value)
		case "expires":
			mark.ExpiresAt, err = time.Parse(time.RFC3339Nano, value)
		case "source":
			mark.Source = value
		case "requested":
			mark.Requested = value
		case "set":
			mark.Set = value
		case "digest":
			mark.Digest = value
		}
		if err != nil {
			return Mark{}, false
		}
	}
	if mark.IssuedAt.IsZero() || mark.ExpiresAt.IsZero() || mark.Digest == "" {
		return Mark{}, false
	}
	return mark, true
}
