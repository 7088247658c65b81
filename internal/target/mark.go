// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Mark says which token a target holds. It is an annotation that is written in
// the same write as the token, so that neither is ever there without the other.
//
// It holds no secret. It is no proof against someone who may write the Secret: who
// can forge the mark can replace the token, too.
type Mark struct {
	token.Validity
	// Token names the access token: a plain digest that Publish keys; empty where it is
	// not known.
	Token string
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
	add("token", m.Token)
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
		case "token":
			mark.Token = value
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

// tokenScope is where the digest of an access token stands.
func tokenScope(uid types.UID) string { return MarkKey(uid) + "/token" }

// ValidityOf the token of a plain digest, where a target is marked with it; zero: the mark
// is of another token, or does not say of which.
func (m Mark) ValidityOf(key digest.Key, plain string, uid types.UID) token.Validity {
	if plain == "" || m.Token != key.Of(tokenScope(uid), plain) {
		return token.Validity{}
	}
	return m.Validity
}

// MayBeOf reports whether nothing tells that the mark is of another token than this one from
// a source. A mark that an earlier version wrote, or under a key that is lost, does not say of
// which token it is; and of two of the same second the times do not.
func (m Mark) MayBeOf(key digest.Key, current token.Token, source string, uid types.UID) bool {
	if m.IsZero() {
		return true
	}
	isAnother := key.Made(m.Token) && m.Token != key.Of(tokenScope(uid), current.AccessToken.Digest())
	return !isAnother && m.Equal(current.Validity) && m.Source == source
}

// digestOf names data that was rendered from a template, in the mark of a credential.
func digestOf(key digest.Key, template *render.Template, data map[string][]byte, uid types.UID) string {
	return template.Shape() + "-" + key.Of(MarkKey(uid), render.DataDigest(data))
}

// holds reports whether a mark's digest is of this data. One that was made with a key
// that is lost since is believed until the next token: to ask a provider for another
// one for that alone would be worse than not to see what somebody else has written.
func holds(key digest.Key, marked string, data map[string][]byte, uid types.UID) bool {
	_, written, _ := strings.Cut(marked, "-")
	if written != "" && !digest.IsPlain(written) && !key.Made(written) {
		return len(data) > 0
	}
	return key.Is(written, MarkKey(uid), render.DataDigest(data))
}

// HasPlainMark reports whether an earlier version marked a Secret, so that anybody can
// check a guess at what it holds.
func HasPlainMark(metadata *metav1.PartialObjectMetadata) bool { return len(plainMarks(metadata)) > 0 }

// plainMarks are the marks whose digests are in plain, by the UID of their credential: a
// Secret that is merged into may have several.
func plainMarks(metadata *metav1.PartialObjectMetadata) map[types.UID]Mark {
	plain := map[types.UID]Mark{}
	for key := range metadata.Annotations {
		uid := types.UID(strings.TrimPrefix(key, v1alpha1.TokenAnnotationPrefix))
		mark, ok := ReadMark(metadata.Annotations, uid)
		if _, written, _ := strings.Cut(mark.Digest, "-"); ok && digest.IsPlain(written) {
			plain[uid] = mark
		}
	}
	return plain
}

// Rekey writes the plain marks of a Secret anew, under the key. The data is neither read
// nor changed. A Secret that has changed meanwhile is left alone: whoever changed it
// wakes its credential, or has written it anew.
func (p *Publisher) Rekey(ctx context.Context, metadata *metav1.PartialObjectMetadata) error {
	for uid, mark := range plainMarks(metadata) {
		shape, written, _ := strings.Cut(mark.Digest, "-")
		mark.Digest = shape + "-" + p.Key.Keyed(MarkKey(uid), written)
		body, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"uid":             metadata.UID,
			"resourceVersion": metadata.ResourceVersion,
			"annotations":     map[string]string{MarkKey(uid): mark.Encode()},
		}})
		if err != nil {
			return err
		}
		patched := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: metadata.Namespace, Name: metadata.Name}}
		patched.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		err = p.Client.Patch(ctx, patched, client.RawPatch(types.MergePatchType, body), client.FieldOwner(fieldManagerOf(uid)))
		switch {
		case apierrors.IsConflict(err), apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return fmt.Errorf("key the mark on the Secret %s/%s: %s", metadata.Namespace, metadata.Name, problem.AnswerOf(err))
		}
		metadata = patched
	}
	return nil
}
