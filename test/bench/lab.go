// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// lab is a control plane, a simulator, and the manager, which comes and goes. It
// owns the processes and what they write.
type lab struct {
	*suite
	client.WithWatch

	folder    string
	cluster   *cluster
	metrics   rest.Interface // the API server's own
	simulator *provider
	manager   *manager        // nil while none runs
	courier   *courierProcess // nil while the manager calls by itself
	flags     []string        // further ones for the operator, of the scenario's own
	observer  *observer       // the last that was begun
	untouched bool            // no scenario has used it yet
}

// newLab starts a control plane and a simulator that know nothing but the apps.
func newLab(ctx context.Context, s *suite) (l *lab, err error) {
	l = &lab{suite: s, untouched: true}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.folder, err = os.MkdirTemp("", "tokenkeeper-bench-"); err != nil {
		return l, err
	}
	if l.cluster, err = startCluster(s.root, l.folder); err != nil {
		return l, err
	}
	if err := ctx.Err(); err != nil { // what is being started cannot be cut short
		return l, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return l, err
	}
	if l.WithWatch, err = client.NewWithWatch(l.cluster.Config, client.Options{Scheme: scheme}); err != nil {
		return l, err
	}
	if l.metrics, err = metricsClient(l.cluster.Config); err != nil {
		return l, err
	}
	if l.simulator, err = startSimulator(ctx, s.simulatorBinary, l.folder); err != nil {
		return l, err
	}
	return l, l.prepare(ctx)
}

// prepare makes the namespace and the apps, one for each vendor, in the simulator
// and as Secrets that all credentials share.
func (l *lab) prepare(ctx context.Context) error {
	if err := l.makeNamespace(ctx, namespace); err != nil {
		return err
	}
	_, err := l.simulator.seed(ctx, apps, nil)
	return err
}

// makeNamespace makes one with the Secrets of the apps.
func (l *lab) makeNamespace(ctx context.Context, name string) error {
	if err := l.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return err
	}
	for _, app := range apps {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: appSecret(app.Vendor)},
			StringData: map[string]string{"app_key": app.Key, "app_secret": app.Secret},
		}
		if err := l.Create(ctx, secret); err != nil {
			return err
		}
	}
	return nil
}

// close ends what runs and removes what was written, in the opposite order.
func (l *lab) close() error {
	if l.observer != nil {
		l.observer.end()
		l.observer = nil
	}
	if l.manager != nil {
		l.manager.Kill()
		l.manager = nil
	}
	l.stopCourier()
	if l.simulator != nil {
		l.simulator.stop()
		l.simulator = nil
	}
	var err error
	if l.cluster != nil {
		err = l.cluster.Stop()
		l.cluster = nil
	}
	if l.folder != "" {
		err = errors.Join(err, os.RemoveAll(l.folder))
		l.folder = ""
	}
	return err
}

// start starts the manager and waits until it says that it is ready. It returns
// how long that took.
func (l *lab) start(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	var err error
	if l.manager, err = startManager(ctx, l); err != nil {
		return 0, err
	}
	err = l.awaitEvery(ctx, 10*time.Millisecond, "the operator is ready", 2*time.Minute, func(ctx context.Context) (bool, string, error) {
		return l.manager.Ready(ctx), "", nil
	})
	return time.Since(began), err
}

// kill ends the manager where it stands.
func (l *lab) kill() {
	l.manager.Kill()
	l.manager = nil
}

// stop ends the manager in order, with what it has under way.
func (l *lab) stop() {
	if l.manager != nil {
		l.manager.Stop()
		l.manager = nil
	}
}

// errGaveUp is that of a wait that took too long.
var errGaveUp = errors.New("gave up")

// await asks again and again whether something is so, tells how it goes, and
// gives up after the time given, or when the manager ends by itself.
func (l *lab) await(ctx context.Context, what string, patience time.Duration, is func(context.Context) (bool, string, error)) error {
	return l.awaitEvery(ctx, 200*time.Millisecond, what, patience, is)
}

func (l *lab) awaitEvery(ctx context.Context, interval time.Duration, what string, patience time.Duration, is func(context.Context) (bool, string, error)) error {
	began, told := time.Now(), time.Now()
	for {
		so, state, err := is(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case so:
			return nil
		case l.manager != nil && l.manager.HasEnded():
			return l.manager.Died()
		case time.Since(began) > patience:
			return fmt.Errorf("%w: after %s it is still not so that %s: %s", errGaveUp, patience, what, state)
		}
		if state != "" && time.Since(told) > progressPause {
			told = time.Now()
			l.say("  %s", state)
		}
		if err := pause(ctx, interval); err != nil {
			return err
		}
	}
}

// watchFor lets time pass, and tells each so often how it goes.
func (l *lab) watchFor(ctx context.Context, span time.Duration, what string) error {
	for until := time.Now().Add(span); ; {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		l.say("  %s: %s to go", what, left.Round(time.Second))
		if err := pause(ctx, min(left, 3*progressPause)); err != nil {
			return err
		}
		if l.manager != nil && l.manager.HasEnded() {
			return l.manager.Died()
		}
	}
}

// pause waits; the error is the context's.
func pause(ctx context.Context, span time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(span):
		return nil
	}
}
