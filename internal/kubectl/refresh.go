// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
)

// pollPause is how long is waited between two looks at a credential.
const pollPause = time.Second

// lookTimeout bounds one look, so that an API server that does not answer ends the wait too.
const lookTimeout = 10 * time.Second

func refreshCommand(p *plugin) *cobra.Command {
	var which cluster.Selection
	isWaiting, timeout := false, time.Minute
	command := &cobra.Command{
		Use:   "refresh NAME...|-l SELECTOR|--all",
		Short: "Ask for a new token now",
		Long: `Ask for a new token now, by the annotation tokenkeeper.io/refreshAt.

It does not override a stall: what a person must do first is in the credential's message.
With --wait the exit code is 2 where no token came of it.`,
		Example: `  kubectl tokencredential refresh shop --wait

  # all of a namespace with a label
  kubectl tokencredential refresh -l tier=web`,
		ValidArgsFunction: p.completeNames,
		RunE: func(command *cobra.Command, names []string) error {
			c, found, err := p.chosen(command.Context(), which, names)
			if err != nil {
				return err
			}
			asked := p.clock.Now().UTC().Format(time.RFC3339Nano)
			for i := range found {
				if err := askFor(command.Context(), c, &found[i], asked); err != nil {
					return err
				}
				p.printf("%s/%s: a refresh is asked for\n", found[i].Namespace, found[i].Name)
			}
			if !isWaiting {
				return nil
			}
			return p.awaitAll(command.Context(), c, found, asked, timeout)
		},
	}
	addSelection(command, &which)
	command.Flags().BoolVar(&which.All, "all", false, "all of the namespace")
	command.Flags().BoolVar(&isWaiting, "wait", false, "wait until it was tried, and say what came of it")
	command.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait")
	return command
}

func askFor(ctx context.Context, c *cluster.Cluster, credential *v1alpha1.TokenCredential, asked string) error {
	before := credential.DeepCopy()
	if credential.Annotations == nil {
		credential.Annotations = map[string]string{}
	}
	credential.Annotations[v1alpha1.RefreshAtAnnotation] = asked
	return c.Patch(ctx, credential, client.MergeFrom(before))
}

// poll looks until done, or until waiting ends. A look has a time of its own: the client would
// not even ask where it thinks that the wait ends first, and say so instead of what was seen.
func poll(ctx, waiting context.Context, look wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextCancel(waiting, pollPause, true, func(context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		return look(ctx)
	})
}

// awaitAll waits until each refresh that was asked for was answered, not longer than timeout
// for all.
func (p *plugin) awaitAll(ctx context.Context, c *cluster.Cluster, asked []v1alpha1.TokenCredential, value string, timeout time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	failed := 0
	for i := range asked {
		credential := &asked[i]
		err := poll(ctx, waiting, func(ctx context.Context) (bool, error) {
			if err := c.Get(ctx, client.ObjectKeyFromObject(credential), credential); err != nil {
				return false, err
			}
			return credential.Status.LastHandledRefreshAt == value || screen.StateOf(credential) == screen.Stalled, nil
		})
		about := screen.Telling(credential)
		switch telling := condition(credential, v1alpha1.RefreshedCondition); {
		case errors.Is(err, context.DeadlineExceeded) && about.Type != "" && telling.Status != "True":
			failed++
			p.printf("%s/%s: not refreshed in time: %s: %s\n", credential.Namespace, credential.Name, about.Reason, about.Message)
		case errors.Is(err, context.DeadlineExceeded):
			failed++
			p.printf("%s/%s: not answered in time; is an operator at work (kubectl tokencredential check)?\n", credential.Namespace, credential.Name)
		case err != nil:
			return err
		case telling.Status == "True":
			p.printf("%s/%s: refreshed, expires in %s\n", credential.Namespace, credential.Name, until(credential.Status.ExpirationTime, p.clock.Now()))
		default:
			failed++
			p.printf("%s/%s: %s: %s\n", credential.Namespace, credential.Name, about.Reason, about.Message)
		}
	}
	if failed > 0 {
		return unwell{fmt.Sprintf("%d of %d were not refreshed", failed, len(asked))}
	}
	return nil
}
