// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

// The exit codes, for scripts.
const (
	// exitFailed: the command could not do what it was asked.
	exitFailed = 1
	// exitUnwell: it could, and what it looked at is not as it should be.
	exitUnwell = 2
)

// unwell is the error of a command that has printed what is not as it should be.
type unwell struct{ what string }

func (u unwell) Error() string { return u.what }

// plugin is what all commands share.
type plugin struct {
	genericiooptions.IOStreams
	flags *genericclioptions.ConfigFlags
	clock clock.PassiveClock
	// waits is the clock that login waits by.
	waits clock.Clock
	// open shows a page in a browser; nil: nothing does.
	open func(page string) error
	// colours says whether the output is a terminal that shows them, and width how wide
	// that is.
	colours bool
	width   int
}

// Terminal is where a command reads and writes.
type Terminal struct {
	In          io.Reader
	Out, ErrOut io.Writer
	// Colours says whether the output shows colours.
	Colours bool
	// Width of the output, in columns; 0: not known.
	Width int
	// Open shows a page in a browser; nil: the person opens it.
	Open func(page string) error
}

// Main runs the plugin and returns its exit code.
func Main(arguments []string, terminal Terminal) int {
	errOut := terminal.ErrOut
	p := &plugin{
		IOStreams: genericiooptions.IOStreams{In: terminal.In, Out: terminal.Out, ErrOut: errOut},
		flags:     genericclioptions.NewConfigFlags(true),
		clock:     clock.RealClock{},
		waits:     clock.RealClock{},
		open:      terminal.Open,
		colours:   terminal.Colours,
		width:     cmp.Or(terminal.Width, 100),
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := p.root()
	command.SetArgs(arguments)
	err := command.ExecuteContext(ctx)
	var found unwell
	switch {
	case err == nil:
		return 0
	case errors.As(err, &found):
		if found.what != "" {
			_, _ = fmt.Fprintln(errOut, found.what)
		}
		return exitUnwell
	}
	_, _ = fmt.Fprintln(errOut, "error:", err)
	return exitFailed
}

// root is the command that the others belong to.
func (p *plugin) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-tokencredential",
		Short: "Look at TokenCredentials, act on them, check what you are about to apply",
		Long: `Look at TokenCredentials, act on them, check what you are about to apply.

No command prints a secret. Exit codes: 0 all is well, 1 the command failed,
2 what it looked at is not as it should be.`,
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl tokencredential"},
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.ErrOut)
	p.flags.AddFlags(root.PersistentFlags())
	root.AddCommand(getCommand(p), statusCommand(p), loginCommand(p), refreshCommand(p), suspendCommand(p), resumeCommand(p),
		checkCommand(p), providersCommand(p), providerCommand(p), reportCommand(p), versionCommand(p))
	return root
}

// connect reaches the cluster with the caller's rights.
func (p *plugin) connect() (*cluster.Cluster, error) { return cluster.Connect(p.flags) }

// addSelection adds the flags of a selection.
func addSelection(command *cobra.Command, which *cluster.Selection) {
	command.Flags().BoolVarP(&which.Everywhere, "all-namespaces", "A", false, "those of all namespaces")
	command.Flags().StringVarP(&which.Selector, "selector", "l", "", "those that this label selector matches")
}

// chosen reads the credentials that a command is to change: those must be named in some way.
func (p *plugin) chosen(ctx context.Context, which cluster.Selection, names []string) (*cluster.Cluster, []v1alpha1.TokenCredential, error) {
	if len(names) == 0 && which.Selector == "" && !which.All {
		return nil, nil, errors.New("which credentials? Give names, -l SELECTOR, or --all")
	}
	c, err := p.connect()
	if err != nil {
		return nil, nil, err
	}
	found, err := which.Find(ctx, c, names)
	return c, found, err
}

// completeNames completes the names of credentials.
func (p *plugin) completeNames(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := p.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	found, err := cluster.Selection{}.Find(command.Context(), c, nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, credential := range found {
		names = append(names, credential.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (p *plugin) printf(format string, arguments ...any) {
	_, _ = fmt.Fprintf(p.Out, format, arguments...)
}

func versionCommand(p *plugin) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the plugin's version",
		Example: "  kubectl tokencredential version",
		Args:    cobra.NoArgs,
		Run:     func(*cobra.Command, []string) { p.printf("%s\n", version.String()) },
	}
}

// Documented is the command as its pages describe it: without what differs from one
// machine to another.
func Documented() *cobra.Command {
	flags := genericclioptions.NewConfigFlags(true)
	noCache := "~/.kube/cache"
	flags.CacheDir = &noCache
	root := (&plugin{flags: flags, clock: clock.RealClock{}}).root()
	root.DisableAutoGenTag = true
	root.Version = ""
	return root
}
