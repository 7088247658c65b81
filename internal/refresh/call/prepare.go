// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
	"github.com/tokenkeeper/tokenkeeper/internal/lru"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/route"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/weigh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

const (
	// maxPreparations is how much of what prepare calls gave is in memory, in bytes.
	maxPreparations = 8 << 20
	// longestPreparation is how long it is used at most, whatever the reply says.
	longestPreparation = 24 * time.Hour
	// keptForVisit is how long what may not be reused waits for the call that it was made
	// for, where that finds no slot: for a slot, and some.
	keptForVisit = 2 * SlotPause
)

// prepared is what the prepare calls of one visit gave.
type prepared struct {
	visit   *Visit
	done    bool
	failure error // why they gave nothing
	outputs map[string]any
	used    []preparation // where it is kept
	once    []preparation // of those, what may not be used again
}

// by makes the provider's prepare calls, before anything is claimed: once a visit,
// and none whose reply is still good. They see no refresh token, which one of them could
// spend. What they discover is bound with the grant.
func (p *prepared) by(ctx context.Context, way *provider.Call, state rotation.State) error {
	if p.done {
		return p.failure
	}
	p.done = true
	state.RefreshToken, state.PreviousRefreshToken = secret.Text{}, secret.Text{}
	p.outputs = map[string]any{}
	for _, step := range slices.Concat(p.visit.Inputs.Provider.Prepare, []*provider.Call{way}, p.visit.Inputs.Provider.Finish) {
		p.take(keptKey(p.visit.Credential, step))
	}
	for _, step := range p.visit.Inputs.Provider.Prepare {
		if p.failure = p.byOne(ctx, step, way, state); p.failure != nil {
			return p.failure
		}
	}
	p.visit.Origin.Discovered = route.Discovered(p.visit.Inputs, p.outputs)
	return nil
}

// byOne makes one prepare call, or takes what it gave before.
func (p *prepared) byOne(ctx context.Context, step, way *provider.Call, state rotation.State) error {
	key := p.ofRequest(ctx, step, way, state)
	if p.take(key) || p.take(p.onlyFor(key)) {
		return nil
	}
	asked := false
	outcome, err := p.visit.aside(way, &asked).ask(ctx, step, state)
	if err != nil {
		p.visit.Called = p.visit.Called || asked
		return err
	}
	maps.Copy(p.outputs, outcome.Grant.Outputs)
	now := p.visit.By.Clock.Now()
	until := outcome.Grant.ExpiresAt.Add(-ExchangeTimeout) // it is good until the call after it has ended
	if latest := now.Add(longestPreparation); until.After(latest) {
		until = latest
	}
	if !until.After(now) {
		key, until = p.onlyFor(key), now.Add(keptForVisit)
		p.once = append(p.once, key)
	}
	p.visit.By.prepared.put(key, outcome.Grant.Outputs, until)
	p.used = append(p.used, key)
	return nil
}

// take takes what is kept under a key, if it is still good.
func (p *prepared) take(key preparation) bool {
	outputs, ok := p.visit.By.prepared.get(key, p.visit.By.Clock.Now())
	if !ok {
		return false
	}
	maps.Copy(p.outputs, outputs)
	p.used = append(p.used, key)
	if key.credential != "" {
		p.once = append(p.once, key)
	}
	return true
}

// settle drops what was good for this visit alone, once the call that it was made
// for has been made; and, where that was refused, what it was made with: it may be why.
func (p *prepared) settle(err error) {
	switch {
	case !p.visit.Called, WasAnswered(err): // it is yet to be made, or made again
	case problem.Is(err, v1alpha1.AppRejectedReason, v1alpha1.RequestRejectedReason, v1alpha1.ReauthorizationRequiredReason):
		p.visit.By.prepared.drop(p.used)
	default:
		p.visit.By.prepared.drop(p.once)
	}
}

// preparation names what a prepare call gave: whose it is, and what was asked.
type preparation struct {
	namespace string
	// credential is who alone may use it; empty: whoever of the namespace asks the same.
	credential string
	request    string
}

// onlyFor is the same for this credential alone.
func (p *prepared) onlyFor(key preparation) preparation {
	key.credential = string(p.visit.Credential.UID)
	return key
}

// keptKey names what a call is to be made with that its last reply asked for.
func keptKey(credential *v1alpha1.TokenCredential, step *provider.Call) preparation {
	return preparation{credential.Namespace, string(credential.UID), fmt.Sprintf("again %p", step)}
}

// ofRequest names a request: by a keyed digest of all that is sent, as it would be at one
// fixed moment, since a signature or a time in it is another each time. Where no request
// can be built for that, it is one that nobody makes twice.
func (p *prepared) ofRequest(ctx context.Context, step, way *provider.Call, state rotation.State) preparation {
	c := &Call{visit: p.visit, way: way, step: step}
	state = c.leg().Admitted(state)
	in := p.visit.Inputs
	inputs := in.Request(state.RefreshToken, state.Token.AccessToken, weigh.Overlaid(state.Token.Outputs, p.outputs))
	request, err := step.Begin(inputs, time.Unix(0, 0).UTC(), "").Request(ctx)
	plain := p.visit.key().String() + p.visit.By.Clock.Now().String()
	if err == nil {
		plain = described(request)
	}
	if in.Certificate != nil {
		plain += in.Certificate.Chain.Digest()
	}
	scope := "prepare of " + p.visit.key().Namespace + " at " + in.Provider.Key + " " + in.Provider.Edition
	return preparation{namespace: p.visit.key().Namespace, request: p.visit.By.Key.Keyed(scope, plain)}
}

// described is a digest of a request.
func described(request *egress.Request) string {
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "%s %s\n", request.Method, request.URL)
	for _, name := range slices.Sorted(maps.Keys(request.Header)) {
		_, _ = fmt.Fprintf(hash, "%s: %q\n", name, request.Header[name])
	}
	if request.Body != nil {
		_, _ = io.Copy(hash, request.Body) // it is in memory, and hash never fails
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// preparations are what prepare calls gave, in memory alone. The zero value is ready to
// use.
type preparations struct {
	once  sync.Once
	known *lru.Cache[preparation, keptOutputs]
}

type keptOutputs struct {
	outputs map[string]any
	until   time.Time
}

func (p *preparations) cache() *lru.Cache[preparation, keptOutputs] {
	p.once.Do(func() {
		p.known = lru.New(maxPreparations, func(of preparation, _ keptOutputs) string { return of.namespace })
	})
	return p.known
}

func (p *preparations) get(key preparation, now time.Time) (map[string]any, bool) {
	known, ok := p.cache().Get(key)
	if !ok || !now.Before(known.until) {
		return nil, false
	}
	return known.outputs, true
}

// put keeps outputs, which are not to be changed any more. What cannot be written as JSON
// is not kept.
func (p *preparations) put(key preparation, outputs map[string]any, until time.Time) {
	encoded, err := jsontext.Encode(outputs)
	if err != nil {
		return
	}
	const overhead, factor = 512, 4 // values in memory take more than as JSON
	p.cache().Put(key, keptOutputs{outputs, until}, overhead+factor*len(encoded))
}

func (p *preparations) drop(keys []preparation) {
	for _, key := range keys {
		p.cache().Drop(key)
	}
}
