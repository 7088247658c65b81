// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

// courierCommand is the one command that the program has beside the operator.
const courierCommand = "courier"

// courierOptions are what the flags of the courier say.
type courierOptions struct {
	listen   string
	spoolDir string
	grace    time.Duration
	logLevel slog.Level
	egress   egress.Policy
}

func (o *courierOptions) addFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.listen, "listen", "", "the socket at which managers are answered, as unix:PATH; required")
	flags.StringVar(&o.spoolDir, "spool-dir", "", "directory, in memory, that outlives the container (an emptyDir): replies are kept there, sealed, until the manager has saved them; default: none, and they end with the process")
	flags.DurationVar(&o.grace, "grace-period", 110*time.Second, "how long the courier waits, once it is told to end, for exchanges under way and for managers to save their replies")
	flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug (each exchange), info, warn or error")
	o.egress.AddFlags(flags)
}

// runCourier runs the courier until it is told to end, and returns the program's exit code.
func runCourier(arguments []string) int {
	options := courierOptions{}
	flags := flag.NewFlagSet("manager "+courierCommand, flag.ContinueOnError)
	options.addFlags(flags)
	switch err := flags.Parse(arguments); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(os.Stderr, "%q is no flag: manager %s --help lists the flags\n", flags.Arg(0), courierCommand)
		return 2
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: options.logLevel}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serveCourier(ctx, options, log); err != nil {
		log.Error("the courier stops", "error", err)
		return 1
	}
	log.Info("the courier has ended")
	return 0
}

func serveCourier(ctx context.Context, options courierOptions, log *slog.Logger) error {
	path, err := courier.Path(options.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	calls, err := egress.New(options.egress)
	if err != nil {
		return err
	}
	carrier, err := courier.New(courier.Options{Calls: calls, Directory: options.spoolDir, Now: time.Now, Log: log})
	if err != nil {
		return fmt.Errorf("--spool-dir: %w", err)
	}
	listener, err := courier.Listen(ctx, path, log)
	if err != nil {
		return err
	}
	log.Info("the courier starts", "version", version.String(), "listen", options.listen, "instance", carrier.Instance())
	// What the operator's packages set up as they were loaded is of no use here.
	debug.FreeOSMemory()
	return courier.Serve(ctx, carrier, listener, options.grace)
}

// courierOf is the courier that the manager's exchanges go through: the one at the socket
// that --courier names, or one within the process. Run, unless nil, stays in touch with it.
func courierOf(options options) (carrier courier.Courier, run func(context.Context) error, err error) {
	if options.courier != "" {
		path, err := courier.Path(options.courier)
		if err != nil {
			return nil, nil, fmt.Errorf("--courier: %w", err)
		}
		isHeeded := options.notifyURL != "" // for notifications, which the manager sends itself
		if !isHeeded && !reflect.DeepEqual(options.egress, egress.Policy{}) {
			return nil, nil, errors.New("--courier: the courier makes the calls, so the --egress-* flags and --max-reply-size are to be among its own flags, and not among the manager's")
		}
		remote := courier.Connect(path, slog.New(logr.ToSlogHandler(ctrl.Log.WithName("courier"))))
		return remote, remote.Run, nil
	}
	calls, err := egress.New(options.egress)
	if err != nil {
		return nil, nil, err
	}
	local, err := courier.New(courier.Options{Calls: calls, Now: time.Now})
	return local, nil, err
}
