// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Browser is how the page reaches a person, and how its answer comes back.
type Browser struct {
	// RedirectURI is where the provider sends the browser; empty: this machine, at Port
	// (0: any that is free). One of another machine ends in a pasted URL.
	RedirectURI string
	Port        int
	// Open shows the page; nil: the person does.
	Open func(page string) error
	// In is where a pasted code or URL is read from; nil: nothing is.
	In io.Reader
}

// answer is what came back from the page.
type answer struct {
	code secret.Text
	err  error
}

// Browser has a person grant access in a browser, and returns the refresh token.
func (f *Flow) Browser(ctx context.Context, b Browser) (secret.Text, error) {
	how := f.Provider.Authorize
	if how.Page == nil {
		return secret.Text{}, fmt.Errorf("the provider %s grants access by the device flow alone: use --device", f.Provider.Name)
	}
	if err := f.prepare(ctx); err != nil {
		return secret.Text{}, err
	}
	l, err := b.listen(ctx)
	if err != nil {
		return secret.Text{}, err
	}
	defer l.close()
	known := provider.Authorization{RedirectURI: l.redirectURI, State: random(), Scope: f.Scope}
	if how.PKCE == v1alpha1.PKCES256 {
		known.CodeVerifier = secret.New(random())
		sum := sha256.Sum256([]byte(known.CodeVerifier.Reveal()))
		known.CodeChallenge = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	page, err := f.page(ctx, known)
	if err != nil {
		return secret.Text{}, err
	}
	r := reading{state: known.State, isBound: how.PKCE == v1alpha1.PKCES256, hidden: f.hidden(known)}
	known.Code, err = f.ask(ctx, b, l, page, r)
	if err != nil {
		return secret.Text{}, err
	}
	const doing = "the code was not turned into tokens"
	outcome, err := f.call(ctx, how.Code, known)
	if err != nil {
		return secret.Text{}, fmt.Errorf("%s: %w", doing, err)
	}
	return granted(outcome, doing)
}

// page is the address of the page, which a person sees: it must hold no secret.
func (f *Flow) page(ctx context.Context, known provider.Authorization) (string, error) {
	public := known
	public.CodeVerifier = secret.Text{}
	request, err := f.begin(f.Provider.Authorize.Page, public).Request(ctx)
	if err != nil {
		return "", fmt.Errorf("the page where a person grants access has no address: %w. Is a parameter missing? See kubectl tokencredential provider explain %s", err, f.Provider.Name)
	}
	if err := f.allow(request.URL); err != nil {
		return "", err
	}
	for _, values := range request.URL.Query() {
		for _, value := range values {
			if !f.Inputs.AppSecret.IsZero() && strings.Contains(value, f.Inputs.AppSecret.Reveal()) {
				return "", errors.New("the provider's authorize.query sends the app's secret through the browser: that is not done")
			}
		}
	}
	return request.URL.String(), nil
}

// ask shows the page and waits for the first answer that belongs to it.
func (f *Flow) ask(ctx context.Context, b Browser, l *listener, page string, r reading) (secret.Text, error) {
	answers := make(chan answer, 1)
	l.serve(r, f.Say, answers)
	f.Say("Open this page and grant access:\n\n  %s\n", page)
	if b.Open != nil {
		if err := b.Open(page); err != nil {
			f.Say("No browser could be opened: open it yourself.")
		}
	}
	if b.In != nil {
		if l.isOpen() {
			f.Say("Waiting for the browser to come back. If it cannot, paste the address it ends at, or the code.")
		} else {
			f.Say("Then paste the address that the browser ends at, or the code.")
		}
		go r.paste(b.In, l.isOpen(), answers)
	}
	select {
	case <-ctx.Done():
		return secret.Text{}, fmt.Errorf("nobody granted access in time: %w", ctx.Err())
	case got := <-answers:
		return got.code, got.err
	}
}

// hidden is what no message may show.
func (f *Flow) hidden(known provider.Authorization) []string {
	all := []string{known.CodeVerifier.Reveal(), f.Inputs.AppSecret.Reveal()}
	for _, value := range f.Inputs.Login {
		all = append(all, value.Reveal())
	}
	return all
}

// reading tells an answer to this login from others.
type reading struct {
	state string
	// isBound tells that a code alone is of use to nobody else, nor another's to us.
	isBound bool
	hidden  []string
}

var errOtherState = errors.New("it belongs to another login: its state is not the one that was sent (RFC 6749 section 10.12)")

// query reads what the browser came back with (RFC 6749 section 4.1.2).
func (r reading) query(query url.Values) answer {
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(r.state)) != 1 {
		return answer{err: errOtherState}
	}
	code := query.Get("code")
	if refusal := query.Get("error"); refusal != "" {
		hidden := append([]string{code}, r.hidden...)
		return answer{err: &Refused{"access was not granted", redact.Message(refusal, hidden), redact.Message(query.Get("error_description"), hidden)}}
	}
	if code == "" {
		return answer{err: errors.New("the address holds no code")}
	}
	return answer{code: secret.New(code)}
}
