// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

const (
	// defaultInterval is the pause between two calls where the provider states none, and
	// slower what slow_down adds to it (RFC 8628 sections 3.2 and 3.5).
	defaultInterval = 5 * time.Second
	slower          = 5 * time.Second
	// longestInterval bounds the pause, whatever the provider states.
	longestInterval = 5 * time.Minute
	// defaultExpiry holds where a reply leaves expires_in out, which RFC 8628 asks for.
	defaultExpiry = 15 * time.Minute
)

// codes are the reply to a device's request.
type codes struct {
	device            secret.Text
	user              string
	address, complete string
	interval          time.Duration
	expiry            time.Time
}

// Device has a person grant access on another device, and returns the refresh token.
func (f *Flow) Device(ctx context.Context) (secret.Text, error) {
	how := f.Provider.Authorize
	if how.Device == nil {
		return secret.Text{}, fmt.Errorf("the provider %s describes no device flow: leave --device out", f.Provider.Name)
	}
	if err := f.prepare(ctx); err != nil {
		return secret.Text{}, err
	}
	given, err := f.codes(ctx)
	if err != nil {
		return secret.Text{}, err
	}
	f.Say("On any device, open this page and enter the code %s:\n\n  %s\n", given.user, given.address)
	if given.complete != "" {
		f.Say("Or open the page with the code in it:\n\n  %s\n", given.complete)
	}
	return f.poll(ctx, given)
}

// codes asks for the codes of the two sides.
func (f *Flow) codes(ctx context.Context) (codes, error) {
	const doing = "the provider gave no code for a device"
	outcome, err := f.call(ctx, f.Provider.Authorize.Device, provider.Authorization{Scope: f.Scope})
	switch {
	case errors.Is(err, errUnreached):
		return codes{}, err
	case err != nil:
		return codes{}, fmt.Errorf("%s: %w. Is a parameter missing? See kubectl tokencredential provider explain %s", doing, err, f.Provider.Name)
	case outcome.Reason != v1alpha1.RefreshedReason:
		return codes{}, &Refused{doing, outcome.Reason, outcome.Message}
	}
	outputs := outcome.Grant.Outputs
	device := text(outputs[provider.DeviceCodeOutput])
	shown := func(name string) string { return fit(text(outputs[name]), device, f.Inputs.AppSecret.Reveal()) }
	given := codes{
		device: secret.New(device), user: shown(provider.UserCodeOutput),
		address: shown(provider.VerificationURIOutput), complete: shown(provider.VerificationURICompleteOutput),
		interval: min(cmp.Or(seconds(outputs[provider.IntervalOutput]), defaultInterval), longestInterval),
		expiry:   f.Clock.Now().Add(cmp.Or(seconds(outputs[provider.ExpiresInOutput]), defaultExpiry)),
	}
	if device == "" || given.user == "" || given.address == "" {
		return codes{}, errors.New(doing + ": its reply lacks the device code, the user code or the page to enter it (RFC 8628 section 3.2)")
	}
	return given, nil
}

// fit is a text that a person is to read, where it may be shown: one line, without secrets.
func fit(text string, secrets ...string) string {
	holds := func(secret string) bool { return secret != "" && strings.Contains(text, secret) }
	if slices.ContainsFunc(secrets, holds) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return text
}

// poll asks for tokens until there are some, or none will come.
func (f *Flow) poll(ctx context.Context, given codes) (secret.Text, error) {
	const doing = "access was not granted"
	known := provider.Authorization{Scope: f.Scope, DeviceCode: given.device}
	for pause := given.interval; ; pause = min(pause, longestInterval) {
		if !f.Clock.Now().Add(pause).Before(given.expiry) {
			return secret.Text{}, errors.New("nobody entered the code before it expired: run the command again")
		}
		select {
		case <-ctx.Done():
			return secret.Text{}, fmt.Errorf("nobody granted access in time: %w", ctx.Err())
		case <-f.Clock.After(pause):
		}
		outcome, err := f.call(ctx, f.Provider.Authorize.DeviceToken, known)
		switch {
		case errors.Is(err, errUnreached):
			pause *= 2 // RFC 8628 section 3.5: back off where a connection times out
			continue
		case err != nil:
			return secret.Text{}, err
		}
		switch outcome.Reason {
		case v1alpha1.ProviderUnavailableReason:
			pause = max(pause, outcome.RetryAfter)
		case v1alpha1.RateLimitedReason:
			pause = max(pause+slower, outcome.RetryAfter)
		case v1alpha1.OutcomeUnknownReason:
			if !outcome.Grant.RefreshToken.IsZero() {
				return outcome.Grant.RefreshToken, nil
			}
			pause *= 2 // a code that was spent meanwhile is refused at the next call
		default:
			return granted(outcome, doing)
		}
	}
}

// text of an output, which a reply may hold as a number.
func text(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

// seconds of an output; 0 where it is no time that a person could be given.
func seconds(value any) time.Duration {
	count, err := strconv.ParseFloat(text(value), 64)
	if err != nil || !(count > 0 && count <= 86400) {
		return 0
	}
	return time.Duration(count * float64(time.Second))
}
