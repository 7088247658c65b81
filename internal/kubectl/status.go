// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
)

func statusCommand(p *plugin) *cobra.Command {
	return &cobra.Command{
		Use:   "status NAME",
		Short: "Show all of one credential on one screen",
		Long: `Show all of one credential on one screen: what it uses and whether each is there, the
token's life, conditions in words, who mounts the target and whether they see the current
token yet, the last events, and what to do next.

The exit code is 2 where the credential is stalled or not ready.`,
		Example:           "  kubectl tokencredential status shop -n team-a",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeNames,
		RunE: func(command *cobra.Command, names []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			drawn, err := p.look(command.Context(), c, names[0])
			if err != nil {
				return err
			}
			p.printf("%s", drawn)
			if state := screen.StateOf(drawn.Credential); state != screen.Ready && state != screen.Suspended {
				return unwell{}
			}
			return nil
		},
	}
}

// look reads all that there is to say of a credential. What the caller may not read is
// named.
func (p *plugin) look(ctx context.Context, c *cluster.Cluster, name string) (screen.Screen, error) {
	s := screen.Screen{Credential: &v1alpha1.TokenCredential{}, Now: p.clock.Now(), Width: max(60, min(p.width, 120)), Colours: p.colours}
	if err := c.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: name}, s.Credential); err != nil {
		return s, err
	}
	s.Uses = append(s.Uses, providerUse(ctx, c, s.Credential))
	for _, secret := range cluster.SecretsOf(s.Credential) {
		s.Uses = append(s.Uses, secretUse(ctx, c, secret))
	}
	note := func(what string, err error) {
		if err != nil {
			s.Unknown = append(s.Unknown, fmt.Sprintf("%s (%s)", what, cmp.Or(string(apierrors.ReasonForError(err)), err.Error())))
		}
	}
	var err error
	s.Events, err = eventsOf(ctx, c, s.Credential)
	note("events", err)
	pods := &corev1.PodList{}
	note("pods", c.List(ctx, pods, client.InNamespace(c.Namespace)))
	changed := time.Time{}
	if last := s.Credential.Status.LastRefreshTime; last != nil {
		changed = last.Time
	}
	s.Mounts = screen.MountsOf(pods.Items, s.Credential.TargetName(), changed, s.Now)
	return s, nil
}

func providerUse(ctx context.Context, c *cluster.Cluster, credential *v1alpha1.TokenCredential) screen.Use {
	reference := credential.Spec.ProviderRef
	use := screen.Use{What: "Provider", Name: reference.Name, Found: "built in"}
	for _, name := range slices.Sorted(maps.Keys(credential.Spec.Parameters)) {
		use.Found += fmt.Sprintf(", %s=%s", name, credential.Spec.Parameters[name])
	}
	if reference.Kind != v1alpha1.ClusterProvider {
		if screen.Telling(credential).Reason == v1alpha1.ProviderNotFoundReason { // which are built in, its operator decides
			use.Wrong = "the operator has none of that name"
		}
		return use
	}
	use.Found = strings.Replace(use.Found, "built in", "ClusterTokenProvider", 1)
	described := &v1alpha1.ClusterTokenProvider{}
	if err := c.Get(ctx, types.NamespacedName{Name: reference.Name}, described); err != nil {
		use.Wrong = wrongOf(err)
		return use
	}
	for _, condition := range described.Status.Conditions {
		if condition.Type == v1alpha1.ReadyCondition && condition.Status != "True" {
			use.Wrong = condition.Message
		}
	}
	return use
}

func wrongOf(err error) string {
	switch {
	case apierrors.IsNotFound(err):
		return "does not exist"
	case apierrors.IsForbidden(err):
		return "you may not read it"
	}
	return string(apierrors.ReasonForError(err))
}

// secretUse tells of a Secret which keys it has, and never what they hold.
func secretUse(ctx context.Context, c *cluster.Cluster, of cluster.Secret) screen.Use {
	use := screen.Use{What: of.What, Name: "Secret " + of.Name}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: of.Namespace, Name: of.Name}, secret); err != nil {
		use.Wrong = wrongOf(err)
		if apierrors.IsNotFound(err) && of.ByOperator {
			use.Wrong = "does not exist yet"
		}
		return use
	}
	for _, key := range of.Keys {
		if len(secret.Data[key]) == 0 {
			use.Wrong = fmt.Sprintf("has no value under the key %q", key)
			return use
		}
	}
	use.Found = strings.Join(slices.Sorted(maps.Keys(secret.Data)), ", ")
	if of.What == "State" { // its keys are the operator's own affair
		use.Found = "sequence " + string(secret.Data["sequence"])
	}
	return use
}

func eventsOf(ctx context.Context, c *cluster.Cluster, credential *v1alpha1.TokenCredential) ([]screen.Event, error) {
	list := &eventsv1.EventList{}
	err := c.List(ctx, list, client.InNamespace(credential.Namespace), client.MatchingFieldsSelector{
		Selector: fields.OneTermEqualSelector("regarding.uid", string(credential.UID)),
	})
	if err != nil {
		return nil, err
	}
	var events []screen.Event
	for _, event := range list.Items {
		events = append(events, screen.Event{At: event.EventTime.Time, IsWarning: event.Type == corev1.EventTypeWarning, Reason: event.Reason, Message: event.Note})
	}
	slices.SortStableFunc(events, func(a, b screen.Event) int { return a.At.Compare(b.At) })
	return events, nil
}
