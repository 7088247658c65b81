// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/authorize"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/cluster"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/manifest"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// login is one call of the command.
type login struct {
	*plugin
	file, scope, redirectURI, caFile string
	port                             int
	device, noBrowser, plainHTTP     bool
	create, reauthorize, isWaiting   bool
	timeout                          time.Duration
}

func loginCommand(p *plugin) *cobra.Command {
	l := &login{plugin: p, isWaiting: true, timeout: 2 * time.Minute}
	command := &cobra.Command{
		Use:   "login NAME|-f FILE",
		Short: "Get a refresh token from a person's consent, and put it where the credential reads it",
		Long: `Get a refresh token from a person's consent, and put it into the Secret of
spec.refreshTokenSecretRef, under that key alone; the Secret is created where there is none.

The provider's page is opened in a browser, which comes back to this machine (authorization
code flow with PKCE). Where it cannot, paste the address that it ends at, or the code. With
--device the consent is given on another device (RFC 8628). Which of them a provider knows,
and what it needs for it, says kubectl tokencredential provider explain.

The app's key and secret are read from the cluster, with your rights, or from FILE. Calls to
the provider go out from this machine. No code and no token is printed.

The exit code is 2 where the token was written and the credential did not become Ready.`,
		Example: `  kubectl tokencredential login shop

  # the first token, and the credential with it
  kubectl tokencredential login -f credential.yaml --create

  # a stalled one, on a machine without a browser
  kubectl tokencredential login shop --reauthorize --device`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeNames,
		RunE:              func(command *cobra.Command, names []string) error { return l.run(command.Context(), names) },
	}
	flags := command.Flags()
	flags.StringVarP(&l.file, "filename", "f", "", "a manifest with the credential; its Secrets and providers count, too")
	flags.BoolVar(&l.create, "create", false, "apply the credential of FILE, too")
	flags.BoolVar(&l.device, "device", false, "by another device (RFC 8628)")
	flags.BoolVar(&l.noBrowser, "no-browser", false, "open no browser: print the page's address alone")
	flags.IntVar(&l.port, "port", 0, "the port of 127.0.0.1 that the browser comes back to; 0: any that is free")
	flags.StringVar(&l.redirectURI, "redirect-uri", "", "where the browser comes back to, as registered for the app; one of this machine is listened on, from any other paste the address")
	flags.StringVar(&l.scope, "scope", "", "scopes to ask for; by default what the credential's parameters say")
	flags.BoolVar(&l.reauthorize, "reauthorize", false, "although the credential is Ready, or because it is stalled")
	flags.BoolVar(&l.isWaiting, "wait", l.isWaiting, "wait until the credential is Ready with the new token")
	flags.DurationVar(&l.timeout, "timeout", l.timeout, "how long to wait for that")
	flags.StringVar(&l.caFile, "ca-file", "", "certificates to trust beside the system's, in PEM")
	flags.BoolVar(&l.plainHTTP, "allow-plain-http", false, "call a provider without TLS, which sends secrets in clear")
	command.MarkFlagsMutuallyExclusive("device", "redirect-uri")
	command.MarkFlagsMutuallyExclusive("device", "port")
	command.MarkFlagsMutuallyExclusive("redirect-uri", "port")
	return command
}

func (l *login) run(ctx context.Context, names []string) error {
	if (len(names) == 1) == (l.file != "") {
		return errors.New("which credential? Give its name, or -f FILE")
	}
	if l.create && l.file == "" {
		return errors.New("--create applies the credential of a file: give -f FILE")
	}
	c, err := l.connect()
	if err != nil {
		return err
	}
	m, credential, err := l.find(ctx, c, names)
	if err != nil {
		return err
	}
	live, err := l.admit(ctx, c, credential)
	if err != nil {
		return err
	}
	in, err := l.gather(ctx, m, credential)
	if err != nil {
		return err
	}
	seed := seedOf(c, credential)
	if err := seed.try(ctx); err != nil {
		return err
	}
	refreshToken, err := l.authorize(ctx, in)
	if err != nil {
		return err
	}
	if err := seed.write(ctx, refreshToken); err != nil {
		return err
	}
	l.printf("The refresh token is in the Secret %s, key %s.\n", seed.name, seed.key)
	if l.create {
		if err := m.Apply(ctx, credential); err != nil {
			return err
		}
		l.printf("TokenCredential %s/%s is applied.\n", credential.Namespace, credential.Name)
	}
	return l.finish(ctx, c, credential, live)
}

// find is the credential that is meant, and what is known beside it.
func (l *login) find(ctx context.Context, c *cluster.Cluster, names []string) (*manifest.Manifest, *v1alpha1.TokenCredential, error) {
	if l.file == "" {
		m, err := manifest.New(c, nil)
		if err != nil {
			return nil, nil, err
		}
		found, err := cluster.Selection{}.Find(ctx, c, names)
		if err != nil {
			return nil, nil, err
		}
		return m, &found[0], nil
	}
	m, err := manifest.Read(c, l.file, l.In)
	if err != nil {
		return nil, nil, err
	}
	if len(m.Credentials) != 1 {
		return nil, nil, fmt.Errorf("%s holds %d TokenCredentials, want one: a login is for one", l.file, len(m.Credentials))
	}
	if l.create {
		if err := m.DryRun(ctx, m.Credentials[0]); err != nil {
			return nil, nil, fmt.Errorf("the API server does not take the TokenCredential %s: %w", m.Credentials[0].Name, err)
		}
	}
	return m, m.Credentials[0], nil
}

// admit refuses to replace a token that works, and returns the credential as the cluster has
// it; nil where it has none.
func (l *login) admit(ctx context.Context, c *cluster.Cluster, credential *v1alpha1.TokenCredential) (*v1alpha1.TokenCredential, error) {
	live := &v1alpha1.TokenCredential{}
	if err := c.Get(ctx, client.ObjectKeyFromObject(credential), live); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	state := screen.StateOf(live)
	switch {
	case state == screen.Stalled:
		l.printf("%s/%s is stalled (%s): this is a new authorization for it.\n", live.Namespace, live.Name, screen.Telling(live).Reason)
	case l.reauthorize:
		l.printf("%s/%s is %s: this is a new authorization for it all the same.\n", live.Namespace, live.Name, state)
	case state == screen.Ready || state == screen.Suspended:
		return nil, fmt.Errorf("%s/%s has a token and is not stalled: to replace its refresh token all the same, add --reauthorize", live.Namespace, live.Name)
	}
	return live, nil
}

// gather reads what the flow needs, and says what is missing before a person does anything.
func (l *login) gather(ctx context.Context, m *manifest.Manifest, credential *v1alpha1.TokenCredential) (*inputs.Inputs, error) {
	if credential.Spec.RefreshTokenSecretRef == nil {
		return nil, errors.New("the credential names no Secret for a refresh token: set spec.refreshTokenSecretRef")
	}
	in, err := m.Gather(ctx, credential)
	switch {
	case err != nil:
		return nil, errors.New(problem.From(err).Message)
	case in.Provider.Authorize == nil:
		return nil, fmt.Errorf("the provider %s does not say how a person grants access (spec.authorize): get a refresh token as its documentation says, and put it into the Secret %s, key %s",
			in.Provider.Name, credential.Spec.RefreshTokenSecretRef.Name, inputs.SeedKey(credential.Spec.RefreshTokenSecretRef))
	case in.AppMissing != nil:
		return nil, errors.New(in.AppMissing.Message)
	case in.Provider.ClientCertificate == v1alpha1.Required:
		return nil, fmt.Errorf("the provider %s wants a client certificate, which this command cannot present", in.Provider.Name)
	}
	return in, nil
}

// authorize has a person grant access.
func (l *login) authorize(ctx context.Context, in *inputs.Inputs) (secret.Text, error) {
	roots, err := trusted(l.caFile)
	if err != nil {
		return secret.Text{}, err
	}
	flow := &authorize.Flow{
		Provider: in.Provider.Provider,
		Inputs:   in.Request(secret.Text{}, secret.Text{}, nil),
		Scope:    l.scope,
		Caller:   authorize.Caller{Client: authorize.NewClient(roots), AllowPlainHTTP: l.plainHTTP},
		Clock:    l.waits,
		Say:      func(format string, arguments ...any) { l.printf(format+"\n", arguments...) },
	}
	if l.device || in.Provider.Authorize.Page == nil {
		return flow.Device(ctx)
	}
	browser := authorize.Browser{RedirectURI: l.redirectURI, Port: l.port, Open: l.open}
	if l.noBrowser {
		browser.Open = nil
	}
	if l.file != "-" {
		browser.In = l.In // else the manifest came from there
	}
	return flow.Browser(ctx, browser)
}

// trusted are the system's certificates and those of a file.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return roots, nil
}
