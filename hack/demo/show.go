// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
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
	operator  *operator
	samples   []*unstructured.Unstructured
}

// show applies the samples and shows what becomes of them, until the context
// ends or, with --once, every sample has been refreshed twice.
func show(ctx context.Context, given settings, stage stage, output local.Output) error {
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
	s := &showing{stage: stage, given: given, output: output, started: time.Now()}
	if err := applySamples(ctx, c, stage.samples); err != nil {
		return err
	}
	names := credentialNames(stage.samples)
	introduce(output, given, s.scene(), len(names))
	s.board, s.display = newBoard(c, names), newDisplay(output, cancel)
	defer func() {
		if s.display.close() {
			s.summarize()
		}
	}()
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for {
		if err := s.next(ctx, changes, clock.C); err != nil {
			return err
		}
		s.display.draw(frame{scene: s.scene(), rows: s.board.shown(), now: time.Now()})
		if isDone, err := s.isDone(ctx); isDone || err != nil {
			return err
		}
	}
}

// showing is a show under way.
type showing struct {
	stage
	given   settings
	output  local.Output
	started time.Time
	board   *board
	display display
}

// next waits for the next thing that happens, and says what it is.
func (s *showing) next(ctx context.Context, changes <-chan change, clock <-chan time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.operator.Ended():
		line, err := s.operator.revive(ctx, s.providers)
		if err != nil {
			return err
		}
		s.display.append(line)
	case seen := <-changes:
		for _, line := range s.board.see(ctx, seen, time.Now()) {
			s.display.append(line)
		}
	case <-clock:
		if line, isKnown := s.operator.kept(ctx, s.board, s.providers); isKnown {
			s.display.append(line)
		}
		if err := s.board.askForRefreshes(ctx, time.Now()); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// isDone reports whether, with --once, every sample has been refreshed twice.
func (s *showing) isDone(ctx context.Context) (bool, error) {
	if !s.given.once {
		return false, nil
	}
	behind := s.board.behind(ctx, s.providers)
	if behind == nil {
		s.end()
		fmt.Fprintf(s.output, "\nAll %d credentials got their first token and were refreshed twice in %s, and every target holds a token that its provider calls valid.\n",
			len(s.board.samples), time.Since(s.started).Round(time.Second))
		return true, nil
	}
	if time.Since(s.started) > oncePatience {
		s.end()
		return false, fmt.Errorf("after %s:\n%w", oncePatience, behind)
	}
	return false, nil
}

// end closes the display and shows the board for the last time.
func (s *showing) end() {
	s.display.close()
	s.summarize()
}

func (s *showing) summarize() {
	fmt.Fprintln(s.output)
	for _, line := range s.board.summary(time.Now()) {
		fmt.Fprintln(s.output, line)
	}
}

// scene is what is shown of the stage.
func (s *showing) scene() scene {
	return scene{
		kubeconfig: s.cluster.Kubeconfig,
		tools:      filepath.Dir(s.cluster.Kubectl),
		lifetime:   s.given.lifetime,
		started:    s.started,
		operator:   s.operator.PID(),
	}
}

const introduction = `
Applied %[1]s: %[2]d credentials, whose tokens live for %[3]s. Watch
the operator renew each when 80 %% of its life is over, or a little before, and
keep the refresh tokens that rotate. (Those of MCS live for an hour, so every
%[4]s the demo asks for a refresh as you could: with the annotation
tokenkeeper.io/refreshAt.)

Look from another terminal while it runs:

  %[5]s

And break something:

  %[6]s

%[7]s

`

func introduce(output io.Writer, given settings, scene scene, credentials int) {
	end := "Ctrl-C ends it and leaves nothing behind."
	if given.once {
		end = fmt.Sprintf("It ends by itself once each has been refreshed twice, in about %s.", (2 * given.lifetime).Round(time.Second))
	}
	const width, indent = 78, "\n  "
	fmt.Fprintf(output, introduction, samplesFolder, credentials, given.lifetime, askEvery,
		strings.Join(append(scene.environment(), aligned(looks(), width)...), indent),
		strings.Join(aligned(breaks(scene.operator), width), indent), end)
}
