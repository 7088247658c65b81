// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures what the operator costs and carries: the manager as it
// is built, against etcd, kube-apiserver and the simulator of the providers, all
// on loopback and on this machine. `make bench` builds what it needs and runs it.
//
//	bench                                    every scenario
//	bench saturation restart                 these alone (make bench BENCH="saturation restart")
//	bench --scale=0.02 --lifetime=30s --window=10s --settle=5s    a small run
//
// Everything shares the processors, so a figure by itself says little: beside
// those that depend on the machine stand the raw limits of the same run, and the
// goals are ratios. Each scenario has a control plane of its own. It needs
// KUBEBUILDER_ASSETS, a folder with etcd and kube-apiserver, reads /proc, and runs
// at the top of a checkout. Whichever way it ends, but for SIGKILL, it leaves no
// process and no file behind but its reports.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenkeeper/tokenkeeper/hack/local"
)

// settings are the flags.
type settings struct {
	root            string // of the checkout
	managerBinary   string
	managerFlags    string
	simulatorBinary string

	credentials int
	scale       float64
	lifetime    time.Duration
	window      time.Duration
	settle      time.Duration
	patience    time.Duration
	attacks     string

	json     string
	markdown string
	profile  string
	strict   bool
}

func (s *settings) addFlags(flags *flag.FlagSet) {
	flags.StringVar(&s.managerBinary, "manager", "bin/manager", "the operator's `binary`; `make build` builds it")
	flags.StringVar(&s.managerFlags, "manager-flags", "", "further `flags` for the operator, separated by blanks")
	flags.StringVar(&s.simulatorBinary, "simulator", "bin/simulator", "the simulator's `binary`: go build -o bin/simulator ./cmd/simulator")
	flags.IntVar(&s.credentials, "credentials", 10000, "how many credentials the scenarios begin with that count in ten thousands")
	flags.Float64Var(&s.scale, "scale", 1, "factor for the `number` of all objects: 0.02 for a quick look")
	flags.DurationVar(&s.lifetime, "lifetime", 120*time.Second, "how long tokens live where their renewal is watched; an outage lasts for half of it")
	flags.DurationVar(&s.window, "window", time.Minute, "how long saturation is measured; raw limits for a sixth of it each")
	flags.DurationVar(&s.settle, "settle", 140*time.Second, "how long an idle operator is left alone before its memory is read; Go collects garbage every two minutes at the latest")
	flags.DurationVar(&s.patience, "patience", 5*time.Minute, "how long is waited for new credentials that others starve, and for statuses")
	flags.StringVar(&s.attacks, "attacks", "", "`numbers` of the attacks that hostile plays, separated by commas; all where there are none")
	flags.StringVar(&s.json, "json", "bin/bench.json", "`file` for the figures as JSON")
	flags.StringVar(&s.markdown, "markdown", "bin/bench.md", "`file` for the figures as Markdown, as in docs/benchmarks.md")
	flags.StringVar(&s.profile, "profile", "", "`directory` for CPU and heap profiles of the operator: of what it does while it is saturated, and of what it holds at rest")
	flags.BoolVar(&s.strict, "strict", false, "end with 1 where a goal is missed")
}

// changed are the flags for sizes that are not at their defaults.
func (s *settings) changed() []string {
	defaults := &settings{}
	defaults.addFlags(flag.NewFlagSet("", flag.ContinueOnError))
	var all []string
	for _, each := range []struct {
		name        string
		value, full any
	}{
		{"credentials", s.credentials, defaults.credentials},
		{"scale", s.scale, defaults.scale},
		{"lifetime", s.lifetime, defaults.lifetime},
		{"window", s.window, defaults.window},
		{"settle", s.settle, defaults.settle},
		{"patience", s.patience, defaults.patience},
		{"attacks", s.attacks, defaults.attacks},
	} {
		if each.value != each.full {
			all = append(all, fmt.Sprintf("--%s=%v", each.name, each.value))
		}
	}
	return all
}

// number scales a number of objects.
func (s *settings) number(n int) int { return max(10, int(float64(n)*s.scale)) }

func main() {
	given := settings{root: "."}
	given.addFlags(flag.CommandLine)
	flag.Usage = usage
	flag.Parse()
	ctx, output, stop := local.UntilStopped(os.Stdout)
	defer stop()
	chosen, err := choose(flag.Args())
	if err == nil {
		err = run(ctx, &given, chosen, output)
	}
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(flag.CommandLine.Output(), "Usage: bench [flags] [scenario ...]")
	for _, each := range scenarios() {
		fmt.Fprintf(flag.CommandLine.Output(), "  %-11s %s\n", each.name, each.about)
	}
	flag.PrintDefaults()
}

// scenario is one thing that is measured, in a control plane of its own.
type scenario struct {
	name  string
	about string
	run   func(context.Context, *lab) (*result, error)
}

func scenarios() []scenario {
	return []scenario{
		{"raw", "what API server and simulator take from a plain client", measureRaw},
		{"saturation", "tokens published a second, and what each costs, with more due than can be done", measureSaturation},
		{"courier", "tokens published a second with the courier in the manager, and as a process of its own", measureCourier},
		{"steady", "lateness with tokens of a short lifetime", measureSteady},
		{"coldstart", "new credentials until all have a token, and a status that says so", measureColdStart},
		{"restart", "calls and writes after a SIGKILL: with all credentials fresh and at rest, and in full work", measureRestart},
		{"outage", "a provider that answers 503 for a while", measureOutage},
		{"tenant", "one tenant's renewals beside thousands of another's that fail", measureTenant},
		{"neighbour", "first tokens of one namespace while another saturates everything", measureNeighbour},
		{"starvation", "first tokens beside others of the same namespace that are always due", measureStarvation},
		{"hostile", "a tenant that is well beside tenants and providers that attack, one after the other", measureHostile},
		{"appsecret", "how often an app Secret is read that all share", measureAppSecret},
		{"unrelated", "resident memory with Secrets that are nobody's business", measureUnrelated},
		{"memory", "resident memory by the number of credentials", measureMemory},
	}
}

// choose finds the scenarios of the given names; all, where there are none.
func choose(names []string) ([]scenario, error) {
	all := scenarios()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []scenario
	for _, name := range names {
		before := len(chosen)
		for _, each := range all {
			if each.name == name {
				chosen = append(chosen, each)
			}
		}
		if len(chosen) == before {
			known := make([]string, 0, len(all))
			for _, each := range all {
				known = append(known, each.name)
			}
			return nil, fmt.Errorf("there is no scenario %q: choose among %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// run plays the scenarios and writes the reports. A scenario that fails does not
// keep the others from running.
func run(ctx context.Context, given *settings, chosen []scenario, output io.Writer) error {
	// What these would print tears the report apart; what matters is returned.
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	progress := newProgress(output)
	report := newReport(ctx, given, progress.began)
	suite := &suite{settings: given, progress: progress}
	var failed []error
	for _, each := range chosen {
		progress.say("%s: %s", each.name, each.about)
		result, err := suite.play(ctx, each)
		if ctx.Err() != nil {
			return context.Canceled
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", each.name, err))
			result.Error = err.Error()
		}
		report.Results = append(report.Results, result)
		report.Took = time.Since(progress.began).Round(time.Second).String()
		result.print(output)
		if err := report.write(given); err != nil { // after each: a long run may be cut short
			return err
		}
	}
	missed := report.missed()
	fmt.Fprintf(output, "\n%d of %d goals met. Reports: %s, %s\n", report.goals()-len(missed), report.goals(), given.json, given.markdown)
	if len(report.Changed) > 0 {
		fmt.Fprintln(output, report.caveat())
	}
	if given.strict && len(missed) > 0 {
		failed = append(failed, fmt.Errorf("goals missed: %s", strings.Join(missed, "; ")))
	}
	return errors.Join(failed...)
}

// suite is what the scenarios of one run share.
type suite struct {
	*settings
	*progress
	raw *rawRates // once measured
}

// play runs one scenario in a lab of its own.
func (s *suite) play(ctx context.Context, each scenario) (*result, error) {
	began := time.Now()
	outcome := &result{Scenario: each.name, About: each.about}
	lab, err := newLab(ctx, s)
	if err != nil {
		return outcome, err
	}
	before, idle := processorSecondsOfBench(), idleNow()
	measured, err := each.run(ctx, lab)
	if measured != nil {
		measured.Scenario, measured.About = each.name, each.about
		outcome = measured
	}
	if ctx.Err() == nil {
		used := processorSecondsOfBench() - before
		machine := time.Since(began).Seconds() * float64(thisMachine().Processors)
		outcome.note("the harness itself, with all that it made and watched, used %.1f s of processor time, %.1f %% of the machine (idle: %.0f %%); no processor time of an operator or of everything holds it",
			used, 100*used/machine, 100*(idleNow()-idle)/machine)
	}
	err = errors.Join(err, lab.close())
	outcome.Took = time.Since(began).Round(time.Second).String()
	return outcome, err
}
