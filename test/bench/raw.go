// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// rawRates are what a client reaches that does nothing but write, or call.
type rawRates struct {
	writes   map[int]float64 // of Secrets, by how many are under way at once
	statuses float64         // patches of a status, with as many under way as suit Secrets best
	// refreshes are what a client reaches that asks of the API server what a refresh
	// does, and does nothing else; by kind.
	refreshes map[string]float64
	kept      float64 // calls over connections that are kept
	single    float64 // calls with a connection for each
}

// parallels are how many writes are under way at once.
var parallels = []int{1, 8, 32}

// best is the most writes a second.
func (r *rawRates) best() (rate float64, parallel int) {
	for _, n := range parallels {
		if r.writes[n] > rate {
			rate, parallel = r.writes[n], n
		}
	}
	return rate, parallel
}

// measureRaw reports the raw limits.
func measureRaw(ctx context.Context, l *lab) (*result, error) {
	raw, err := rawLimits(ctx, l)
	if err != nil {
		return nil, err
	}
	r := &result{}
	for _, n := range parallels {
		r.add(fmt.Sprintf("Secrets written, %d at a time", n), raw.writes[n], "/s")
	}
	_, parallel := raw.best()
	r.add(fmt.Sprintf("statuses patched, %d at a time", parallel), raw.statuses, "/s")
	for _, kind := range kinds {
		r.add(fmt.Sprintf("the requests of a %s refresh, %d at a time", kind.name, parallel), raw.refreshes[kind.name], "/s")
	}
	r.add("calls to the simulator, connections kept", raw.kept, "/s")
	r.add("calls to the simulator, a connection for each", raw.single, "/s")
	return r, nil
}

// rawLimits are measured once in a run, by the first scenario that asks.
func rawLimits(ctx context.Context, l *lab) (*rawRates, error) {
	if l.raw != nil {
		return l.raw, nil
	}
	raw := &rawRates{writes: map[int]float64{}, refreshes: map[string]float64{}}
	span := l.window / 6
	l.say("  raw limits: %s for each", span)
	for _, n := range parallels {
		var err error
		if raw.writes[n], err = secretWrites(ctx, l, n, span); err != nil {
			return nil, err
		}
		l.say("  %.0f Secrets written a second, %d at a time", raw.writes[n], n)
	}
	if err := rawRefreshes(ctx, l, raw, span); err != nil {
		return nil, err
	}
	var err error
	if raw.kept, err = rawCalls(ctx, l, span, true); err != nil {
		return nil, err
	}
	if raw.single, err = rawCalls(ctx, l, span, false); err != nil {
		return nil, err
	}
	l.raw = raw
	return raw, nil
}

// goalRate is the raw limit, in writes a second on two processors, of the machine for
// which the goals in seconds, and in milliseconds of processor time, were set. A raw
// limit differs by half between two machines, and by a third between two minutes.
const goalRate, goalProcessors = 1351, 2

// seconds is the goal of a time that was set for goalRate, where a plain client
// reaches r.
func (r *rawRates) seconds(bound float64) goal {
	best, _ := r.best()
	return scaled(bound, best)
}

// processorTime is the goal of a cost that was set for goalRate, where a plain client
// writes so many a second with all processors.
func processorTime(bound, raw float64) goal {
	return scaled(bound, raw*goalProcessors/float64(thisMachine().Processors))
}

func scaled(bound, raw float64) goal {
	return atMost(bound*goalRate/raw).because("%s at %d writes a second", number(bound), goalRate)
}

// secretWrites is how many Secrets a plain client writes in a second: the raw limit
// that goals are shares of. It leaves nothing behind.
func secretWrites(ctx context.Context, l *lab, parallel int, span time.Duration) (float64, error) {
	secrets, err := rawSecrets(ctx, l, parallel)
	if err != nil {
		return 0, err
	}
	write := func(ctx context.Context, worker, turn int) error { return rewrite(ctx, l, secrets[worker], turn) }
	if _, err := rate(ctx, parallel, span/5, write); err != nil { // an API server is slow in its first seconds
		return 0, err
	}
	written, err := rate(ctx, parallel, span, write)
	return written, errors.Join(err, dropRawSecrets(ctx, l))
}

// rewrite gives one of the Secrets, turn by turn, another token.
func rewrite(ctx context.Context, l *lab, secrets []*corev1.Secret, turn int) error {
	secret := secrets[turn%len(secrets)]
	secret.Data["access_token"] = tokenText()
	return l.Update(ctx, secret)
}

// rawRefreshes measures statuses, and the requests of whole refreshes.
func rawRefreshes(ctx context.Context, l *lab, raw *rawRates, span time.Duration) error {
	_, parallel := raw.best()
	secrets, err := rawSecrets(ctx, l, parallel)
	if err != nil {
		return err
	}
	credentials, err := rawCredentials(ctx, l, parallel)
	if err != nil {
		return err
	}
	patch := func(ctx context.Context, worker, turn int) error {
		return patchStatus(ctx, l, credentials[worker], turn)
	}
	if raw.statuses, err = rate(ctx, parallel, span, patch); err != nil {
		return err
	}
	l.say("  %.0f statuses patched a second", raw.statuses)
	for _, kind := range kinds {
		raw.refreshes[kind.name], err = rate(ctx, parallel, span, func(ctx context.Context, worker, turn int) error {
			err := l.Get(ctx, client.ObjectKeyFromObject(secrets[worker][0]), &corev1.Secret{})
			for i := 1; err == nil && i < int(kind.writes); i++ {
				err = rewrite(ctx, l, secrets[worker], turn*int(kind.writes)+i)
			}
			return errors.Join(err, patch(ctx, worker, turn))
		})
		if err != nil {
			return err
		}
		l.say("  the requests of %.0f %s refreshes sent a second", raw.refreshes[kind.name], kind.name)
	}
	for _, credential := range credentials {
		if err := l.Delete(ctx, credential); err != nil {
			return err
		}
	}
	return dropRawSecrets(ctx, l)
}

func dropRawSecrets(ctx context.Context, l *lab) error {
	return l.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(namespace), client.MatchingLabels{"bench": "raw"})
}

// tokenText has the length of a token.
func tokenText() []byte {
	text := fmt.Sprintf("%043d", time.Now().UnixNano())
	return []byte(text)
}

// rawSecrets makes Secrets that look like targets, some for each writer.
func rawSecrets(ctx context.Context, l *lab, parallel int) ([][]*corev1.Secret, error) {
	const each = 10
	all := make([][]*corev1.Secret, parallel)
	for worker := range all {
		all[worker] = make([]*corev1.Secret, each)
	}
	return all, inParallel(ctx, writers, len(all)*each, func(ctx context.Context, i int) error {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("raw-%06d", i),
				Labels: map[string]string{"bench": "raw", "made-as-big-as": "a-label-of-a-target"},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "tokenkeeper.io/v1alpha1", Kind: "TokenCredential",
					Name: fmt.Sprintf("raw-%06d", i), UID: "00000000-0000-0000-0000-000000000000"}}},
			Data: map[string][]byte{"access_token": tokenText(), "token_type": []byte("Bearer"), "expires_at": []byte(time.Now().UTC().Format(time.RFC3339))},
		}
		all[i/each][i%each] = secret
		return l.Create(ctx, secret)
	})
}

// rawCredentials are suspended, and gone before a manager sees them.
func rawCredentials(ctx context.Context, l *lab, n int) ([]*v1alpha1.TokenCredential, error) {
	var all []*v1alpha1.TokenCredential
	for i := range n {
		credential := &v1alpha1.TokenCredential{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("raw-%06d", i)},
			Spec:       v1alpha1.TokenCredentialSpec{ProviderRef: v1alpha1.ProviderReference{Name: "mcs"}, Suspend: true},
		}
		if err := l.Create(ctx, credential); err != nil {
			return nil, err
		}
		all = append(all, credential)
	}
	return all, nil
}

// patchStatus changes a status as a refresh does.
func patchStatus(ctx context.Context, l *lab, credential *v1alpha1.TokenCredential, turn int) error {
	before := credential.DeepCopy()
	now := metav1.NewTime(time.Now().Add(time.Duration(turn) * time.Second))
	later := metav1.NewTime(now.Add(time.Hour))
	status := &credential.Status
	status.LastRefreshTime, status.ExpirationTime, status.NextRefreshTime = &now, &later, &later
	status.RefreshCount++
	for _, kind := range []string{v1alpha1.ReadyCondition, v1alpha1.RefreshedCondition} {
		status.Conditions = slices.DeleteFunc(status.Conditions, func(c metav1.Condition) bool { return c.Type == kind })
		status.Conditions = append(status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "Raw",
			LastTransitionTime: now, Message: "the Secret \"raw\" holds a token that expires at " + later.UTC().Format(time.RFC3339)})
	}
	return l.Status().Patch(ctx, credential, client.MergeFrom(before))
}

// rawCalls refreshes one MCS token, again and again.
func rawCalls(ctx context.Context, l *lab, span time.Duration, keep bool) (float64, error) {
	app := appOf(simulator.MCS)
	grants, err := l.simulator.seed(ctx, nil, []simulator.Grant{{Vendor: simulator.MCS, App: app.Key}})
	if err != nil {
		return 0, err
	}
	transport, err := l.simulator.transport()
	if err != nil {
		return 0, err
	}
	defer transport.CloseIdleConnections()
	transport.DisableKeepAlives = !keep
	caller := &http.Client{Transport: transport}
	body := `{"token":"` + grants[0].RefreshToken + `"}`
	return rate(ctx, slices.Max(parallels), span, func(ctx context.Context, _, _ int) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://mcs.mediatek.com/oauth/login/thirdparty/refresh", strings.NewReader(body))
		if err != nil {
			return err
		}
		request.SetBasicAuth(app.Key, app.Secret)
		request.Header.Set("Content-Type", "application/json")
		reply, err := caller.Do(request)
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		text, err := io.ReadAll(reply.Body)
		if err == nil && !bytes.Contains(text, []byte("access_token")) {
			err = fmt.Errorf("the simulator says %s: %.200s", reply.Status, text)
		}
		return err
	})
}

// rate is how often a second something is done by so many at once.
func rate(ctx context.Context, parallel int, span time.Duration, do func(ctx context.Context, worker, turn int) error) (float64, error) {
	var done atomic.Int64
	began := time.Now()
	err := inParallel(ctx, parallel, parallel, func(ctx context.Context, worker int) error {
		for turn := 0; time.Since(began) < span; turn++ {
			if err := do(ctx, worker, turn); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	return float64(done.Load()) / time.Since(began).Seconds(), err
}
