// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tokenkeeper/tokenkeeper/hack/local"
)

const (
	samplesFolder = "config/samples"
	// namespace is where the samples go: the one that kubectl uses unasked.
	namespace = "default"
)

// oncePatience is how long --once waits for the samples.
const oncePatience = 3 * time.Minute

// stage is everything that was brought up, and what is to be shown on it.
type stage struct {
	cluster   *local.Cluster
	providers *providers
	operator  *local.Manager
	samples   []*unstructured.Unstructured
}

// show applies the samples and shows what becomes of them, until the context
// ends or, with --once, every sample has been refreshed twice.
func show(ctx context.Context, given settings, stage stage, output io.Writer) error {
	ctx, cancel := context.WithCancel(ctx) // ends the watches too
	defer cancel()
	c, err := newClient(stage.cluster)
	if err != nil {
		return err
	}
	changes, err := watch(ctx, stage.cluster, c.Scheme())
	if err != nil {
		return err
	}
	started := time.Now()
	if err := applySamples(ctx, c, stage.samples); err != nil {
		return err
	}
	names := credentialNames(stage.samples)
	introduce(output, given, stage.cluster, len(names))

	board := newBoard(c, names)
	screen := newScreen(output)
	defer screen.close()
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stage.operator.Ended():
			return stage.operator.Died()
		case seen := <-changes:
			for _, line := range board.see(ctx, seen, time.Now()) {
				screen.append(line)
			}
		case <-clock.C:
			if err := board.askForRefreshes(ctx, time.Now()); err != nil && ctx.Err() == nil {
				return err
			}
		}
		screen.draw(board, time.Now())
		if !given.once {
			continue
		}
		behind := board.behind(ctx, stage.providers)
		if behind == nil {
			screen.end(board, time.Now())
			fmt.Fprintf(output, "\nAll %d credentials got their first token and were refreshed twice in %s, and every target holds a token that its provider calls valid.\n",
				len(names), time.Since(started).Round(time.Second))
			return nil
		}
		if time.Since(started) > oncePatience {
			screen.end(board, time.Now())
			return fmt.Errorf("after %s:\n%w", oncePatience, behind)
		}
	}
}

const introduction = `
Applied %[1]s: %[2]d credentials, whose tokens live for %[3]s. Watch the operator
renew each when 80 %% of its life is over, or a little before, and keep the refresh
tokens that rotate. (Those of MCS live for an hour, so every %[4]s the demo asks for
a refresh as you could: with the annotation tokenkeeper.io/refreshAt.)

Look from another terminal while it runs:

  %[5]s --kubeconfig %[6]s get tokencred

and instead of "get tokencred", for example:

  describe tokencred xiaomi             what the operator says
  get secret xiaomi-mac-token -o yaml   what a pod would mount
  delete secret xiaomi-mac-token        it comes back, and nobody is called

%[7]s

`

func introduce(output io.Writer, given settings, cluster *local.Cluster, credentials int) {
	end := "Ctrl-C ends it and leaves nothing behind."
	if given.once {
		end = fmt.Sprintf("It ends by itself once each has been refreshed twice, in about %s.", (2 * given.lifetime).Round(time.Second))
	}
	fmt.Fprintf(output, introduction, samplesFolder, credentials, given.lifetime, askEvery, cluster.Kubectl, cluster.Kubeconfig, end)
}
