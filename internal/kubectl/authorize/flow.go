// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"

	"github.com/google/uuid"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Flow is one login of one person. It is used once.
type Flow struct {
	Provider *provider.Provider
	// Inputs are what the credential brings.
	Inputs provider.Inputs
	// Scope is what is asked for; empty: what the provider's description says.
	Scope string
	Caller
	Clock clock.Clock
	// Say tells the person something: a line, without a secret.
	Say func(format string, arguments ...any)
}

// Refused is the error of a provider, or a person, that does not grant access.
type Refused struct {
	// Doing is what was under way, Reason and Message what came of it.
	Doing, Reason, Message string
}

func (r *Refused) Error() string {
	text := r.Doing + ": " + r.Reason
	if r.Message != "" {
		text += ": " + r.Message
	}
	return text
}

// prepare makes the calls that others build on, such as discovery.
func (f *Flow) prepare(ctx context.Context) error {
	f.Inputs.Outputs = map[string]any{}
	for i, call := range f.Provider.Prepare {
		outcome, err := f.call(ctx, call, provider.Authorization{})
		if err != nil {
			return err
		}
		if outcome.Reason != v1alpha1.RefreshedReason {
			return &Refused{fmt.Sprintf("the provider's call prepare[%d]", i), outcome.Reason, outcome.Message}
		}
		maps.Copy(f.Inputs.Outputs, outcome.Grant.Outputs)
	}
	return nil
}

// call makes a call, and once more where its reply asks for that.
func (f *Flow) call(ctx context.Context, call *provider.Call, known provider.Authorization) (provider.Outcome, error) {
	exchange := f.begin(call, known)
	outcome, err := f.exchange(ctx, exchange)
	if err == nil && outcome.SendAgain {
		outcome, err = f.exchange(ctx, exchange.Again(outcome.Outputs, uuid.NewString()))
	}
	return outcome, err
}

func (f *Flow) begin(call *provider.Call, known provider.Authorization) *provider.Exchange {
	inputs := f.Inputs
	inputs.Authorization = known
	for _, each := range []secret.Text{known.Code, known.DeviceCode, known.CodeVerifier} {
		if !each.IsZero() {
			inputs.Hidden = append(inputs.Hidden, each)
		}
	}
	return call.Begin(inputs, f.Clock.Now(), uuid.NewString())
}

// granted is the refresh token that a grant brought.
func granted(outcome provider.Outcome, doing string) (secret.Text, error) {
	switch {
	case !outcome.Grant.RefreshToken.IsZero():
		return outcome.Grant.RefreshToken, nil
	case outcome.UnkeptRefreshToken > 0:
		return secret.Text{}, fmt.Errorf("%s: the provider's refresh token has %d bytes, which is more than are kept", doing, outcome.UnkeptRefreshToken)
	case outcome.Reason != v1alpha1.RefreshedReason:
		return secret.Text{}, &Refused{doing, outcome.Reason, outcome.Message}
	}
	return secret.Text{}, errors.New("access is granted, and the provider gave no refresh token: ask for one by --scope (offline_access at many providers), or allow refresh tokens in the app's registration")
}

// random is a text that nobody guesses: 256 bits in 43 characters, as RFC 7636 section 4.1
// has it for a verifier.
func random() string {
	bytes := make([]byte, 32)
	_, _ = rand.Read(bytes) // it never fails
	return base64.RawURLEncoding.EncodeToString(bytes)
}
