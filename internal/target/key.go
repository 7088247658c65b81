// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// digest names data that was rendered from a template, in the mark of a credential.
func (p *Publisher) digest(template *render.Template, data map[string][]byte, uid types.UID) string {
	return template.Shape() + "-" + p.Key.Of(MarkKey(uid), render.DataDigest(data))
}

// holds reports whether a mark's digest is of this data. One that was made with a key
// that is lost since is believed until the next token: to ask a provider for another
// one for that alone would be worse than not to see what somebody else has written.
func (p *Publisher) holds(marked string, data map[string][]byte, uid types.UID) bool {
	_, written, _ := strings.Cut(marked, "-")
	if written != "" && !digest.IsPlain(written) && !p.Key.Made(written) {
		return len(data) > 0
	}
	return p.Key.Is(written, MarkKey(uid), render.DataDigest(data))
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
