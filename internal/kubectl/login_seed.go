// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// seed is where a credential reads its first refresh token.
type seed struct {
	cluster              *cluster.Cluster
	namespace, name, key string
}

func seedOf(c *cluster.Cluster, credential *v1alpha1.TokenCredential) seed {
	reference := credential.Spec.RefreshTokenSecretRef
	return seed{c, credential.Namespace, string(reference.Name), inputs.SeedKey(reference)}
}

// try sees whether the Secret may be written, before a person's consent is spent on it.
func (s seed) try(ctx context.Context) error {
	return s.put(ctx, "to-be-written", true)
}

func (s seed) write(ctx context.Context, refreshToken secret.Text) error {
	return s.put(ctx, refreshToken.Reveal(), false)
}

// put writes that one key. Errors say why and quote nothing: a webhook's words may repeat
// what was sent.
func (s seed) put(ctx context.Context, value string, isTrial bool) error {
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name}}
	patch, err := json.Marshal(map[string]any{"data": map[string][]byte{s.key: []byte(value)}})
	if err != nil {
		return errors.New("the refresh token cannot be written")
	}
	var patching []client.PatchOption
	var creating []client.CreateOption
	if isTrial {
		patching, creating = append(patching, client.DryRunAll), append(creating, client.DryRunAll)
	}
	err = s.cluster.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch), patching...)
	if apierrors.IsNotFound(err) {
		object = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name}, Data: map[string][]byte{s.key: []byte(value)}}
		err = s.cluster.Create(ctx, object, creating...)
	}
	if err != nil {
		return fmt.Errorf("the Secret %s/%s cannot be written (%s): may you create and patch it, and is it not immutable?", s.namespace, s.name, apierrors.ReasonForError(err))
	}
	return nil
}

// refusalLooks is in how many looks in a row a refusal is seen before it is believed: one may
// be of the token before, which was tried at the same time.
const refusalLooks = 5

// finish waits until the operator has used the new token. before is the credential as it
// was; nil: there was none.
func (l *login) finish(ctx context.Context, c *cluster.Cluster, credential, before *v1alpha1.TokenCredential) error {
	name := credential.Namespace + "/" + credential.Name
	switch {
	case before == nil && !l.create:
		l.printf("%s does not exist yet: kubectl apply -f %s\n", name, l.file)
		return nil
	case before != nil && before.Spec.Suspend:
		l.printf("%s is suspended, so nothing is done with it yet: kubectl tokencredential resume %s -n %s\n", name, credential.Name, credential.Namespace)
		return nil
	case !l.isWaiting:
		return nil
	case before == nil:
		before = &v1alpha1.TokenCredential{}
	}
	waiting, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	live, refused := &v1alpha1.TokenCredential{}, 0
	err := poll(ctx, waiting, func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(credential), live); err != nil {
			return false, err
		}
		if refused++; !isRefusedAnew(live, before) {
			refused = 0
		}
		return isRenewed(live, before) || refused == refusalLooks, nil
	})
	about := screen.Telling(live)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return unwell{fmt.Sprintf("%s is not Ready with the new token in time (%s: %s); is an operator at work (kubectl tokencredential check)?", name, about.Reason, about.Message)}
	case err != nil:
		return err
	case !isRenewed(live, before):
		return unwell{fmt.Sprintf("%s: %s: %s", name, about.Reason, about.Message)}
	}
	l.printf("%s is Ready, and its token expires in %s.\n", name, until(live.Status.ExpirationTime, l.clock.Now()))
	return nil
}

// isRenewed tells that a token was obtained since.
func isRenewed(live, before *v1alpha1.TokenCredential) bool {
	return live.Status.RefreshCount > before.Status.RefreshCount && screen.StateOf(live) == screen.Ready &&
		meta.IsStatusConditionTrue(live.Status.Conditions, v1alpha1.RefreshedCondition)
}

// isRefusedAnew tells that the credential is stalled by something other than before.
func isRefusedAnew(live, before *v1alpha1.TokenCredential) bool {
	now, then := screen.Telling(live), screen.Telling(before)
	return screen.StateOf(live) == screen.Stalled && (now.Reason != then.Reason || now.Message != then.Message || live.Status.FailedAttempts != before.Status.FailedAttempts)
}
