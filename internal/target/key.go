// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
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

// Unkeyed lists the credentials whose marks on a Secret an earlier version wrote, by
// which anybody can check a guess at what the Secret holds.
func Unkeyed(metadata *metav1.PartialObjectMetadata) []types.UID {
	var all []types.UID
	for key := range metadata.Annotations {
		uid := types.UID(strings.TrimPrefix(key, v1alpha1.TokenAnnotationPrefix))
		mark, ok := ReadMark(metadata.Annotations, uid)
		if _, written, _ := strings.Cut(mark.Digest, "-"); ok && digest.IsPlain(written) {
			all = append(all, uid)
		}
	}
	return all
}

// Rekey writes a credential's mark on a Secret anew, with its digest under the key. The
// data is neither read nor changed. One that has changed meanwhile is left alone.
func (p *Publisher) Rekey(ctx context.Context, metadata *metav1.PartialObjectMetadata, uid types.UID) error {
	mark, ok := ReadMark(metadata.Annotations, uid)
	if !ok {
		return nil
	}
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
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
