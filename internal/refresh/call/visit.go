// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Visit is what one renewal, or revocation, calls its provider with, and for. Its calls
// share what the prepare calls gave.
type Visit struct {
	By         *Caller
	Credential *v1alpha1.TokenCredential
	Inputs     *inputs.Inputs
	// Known is the state as it was found.
	Known rotation.State
	// Published tells for how long the access token of a plain digest is good, where it is
	// the one in the target; zero: it is another. nil: nothing is published.
	Published func(digest string) token.Validity
	// Origin is where the provider's calls go.
	Origin rotation.Origin
	// Called is true where the provider was asked, or its host is known not to answer.
	Called bool

	prepared prepared
}

func (v *Visit) key() types.NamespacedName { return client.ObjectKeyFromObject(v.Credential) }

// Prepare makes the provider's prepare calls, before anything is claimed: once a visit,
// and none whose reply is still good.
func (v *Visit) Prepare(ctx context.Context, way *provider.Call, state rotation.State) error {
	v.prepared.visit = v
	return v.prepared.by(ctx, way, state)
}

// Settle drops what was good for this visit alone, now that it has ended with err.
func (v *Visit) Settle(err error) {
	v.prepared.visit = v
	v.prepared.settle(err)
}

// Ready makes a call ready to be sent, before anything is claimed for it. spends is true
// where its token works once.
func (v *Visit) Ready(ctx context.Context, step *provider.Call, state rotation.State, spends bool) (*Call, error) {
	c := &Call{visit: v, called: &v.Called, way: step, Spends: spends}
	if err := c.prepare(ctx, step, state); err != nil {
		return nil, err
	}
	return c, nil
}

// Ask makes a call that spends nothing, one of those around a refresh or a login, its way.
// It fails with a *problem.Problem or a *Pause.
func (v *Visit) Ask(ctx context.Context, way, step *provider.Call, state rotation.State) (provider.Outcome, error) {
	return v.aside(way, &v.Called).ask(ctx, step, state)
}

// aside is such a call. That it was made is noted in asked.
func (v *Visit) aside(way *provider.Call, asked *bool) *Call {
	return &Call{visit: v, called: asked, way: way}
}

// Read reads what came of an attempt of an earlier process, under which the state's token
// was sent.
func (v *Visit) Read(came courier.Outcome, state rotation.State) (provider.Outcome, error) {
	step := v.Inputs.Provider.Refresh
	c := &Call{visit: v, called: &v.Called, way: step, Spends: true}
	noted := NoteOf(came.Note, state.Attempt.Started)
	c.begin(step, state, noted)
	return c.read(came.Reply, came.Failure, v.By.Clock.Now().Sub(noted.Now))
}

// validityOf is for how long an access token is good that was there before; zero: it is new.
func (v *Visit) validityOf(access secret.Text, current token.Token) token.Validity {
	switch {
	case access.IsZero():
	case access.Equal(current.AccessToken):
		return current.Validity
	case v.Published != nil:
		return v.Published(access.Digest())
	}
	return token.Validity{}
}

// unanswered tells apart what cannot have been sent from what may have been, and what the
// server said of the client's certificate.
func (v *Visit) unanswered(err error) error {
	if !errors.Is(err, egress.ErrCertificate) {
		return unanswered(err)
	}
	next := "the provider must ask for one (spec.inputs.clientCertificate of its ClusterTokenProvider)"
	switch ref := v.Credential.Spec.ClientCertificateSecretRef; {
	case v.Inputs.Certificate != nil && ref != nil:
		next = fmt.Sprintf("put one that the provider accepts, with its chain and its key, into the Secret of spec.clientCertificateSecretRef (%q)", ref.Name)
	case v.Inputs.Provider.ClientCertificate != "" && v.Inputs.Provider.ClientCertificate != v1alpha1.None:
		next = "set spec.clientCertificateSecretRef to a Secret of type kubernetes.io/tls with one that the provider accepts"
	}
	return problem.New(v1alpha1.AppRejectedReason, "%s: %s", problem.OneLine(err), next)
}

// said is what is told of the visit to a person.
func (v *Visit) said() advice.Case {
	return advice.Case{Credential: v.Credential, Inputs: v.Inputs, State: v.Known}
}
