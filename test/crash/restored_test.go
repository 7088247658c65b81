// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/horizon"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// TestEtcdPutBack takes a snapshot of etcd, goes on, and puts it back: every UID stays, and
// the state holds a token that was spent since.
func TestEtcdPutBack(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, shows string
		restarted   bool
	}{
		{name: "under a living operator", shows: "etcd put back to a snapshot under a living operator"},
		{name: "under one that restarts in its pod", shows: "etcd put back to a snapshot while the operator restarts in its pod", restarted: true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			faults.Shows(t, each.shows)
			etcd := newEtcd(t)
			s := newSceneIn(t, etcd.client(), simulator.Hour)
			pod := s.newPod()
			pod.api.forwardTo(etcd.config)
			life := pod.start()
			s.awaitFresh(1)

			snapshot := etcd.snapshot()
			s.Client = etcd.client()
			pod.api.forwardTo(etcd.config)
			s.askForRefresh()
			s.awaitFresh(2)
			pod.letTheClusterGoOn()
			if each.restarted {
				life.kill()
			}
			etcd.putBack(snapshot)
			s.Client = etcd.client()
			pod.api.forwardTo(etcd.config)
			if each.restarted {
				pod.start()
			}

			s.awaitStalled(v1alpha1.RestoredFromBackupReason)
			s.check(tally{calls: 2})
			s.cure()
			s.checkTally(tally{calls: 3})
		})
	}
}

// letTheClusterGoOn has the cluster come further than what a start of the API server
// writes, before the eyes of the pod's process.
func (p *pod) letTheClusterGoOn() {
	s := p.s
	s.t.Helper()
	busy := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "busy"}}
	s.must(s.Create(s.t.Context(), busy))
	for i := range 500 {
		busy.Data = map[string]string{"turn": fmt.Sprint(i)}
		s.must(s.Update(s.t.Context(), busy))
	}
	system := &corev1.Namespace{}
	s.must(s.Get(s.t.Context(), client.ObjectKey{Name: metav1.NamespaceSystem}, system))
	s.await("the operator has seen it", func() bool {
		seen, err := horizon.Open(filepath.Join(p.folder, "spool"), string(system.UID))
		s.must(err)
		order, err := resourceversion.CompareResourceVersion(busy.ResourceVersion, seen.Newest())
		s.must(err)
		return order <= 0
	})
}

// etcd is a cluster's own, with an API server before it.
type etcd struct {
	t           *testing.T
	folder      string
	environment *envtest.Environment
	config      *rest.Config
}

func newEtcd(t *testing.T) *etcd {
	t.Helper()
	e := &etcd{t: t, folder: t.TempDir()}
	e.start()
	t.Cleanup(e.stop)
	return e
}

func (e *etcd) start() {
	e.t.Helper()
	e.environment = &envtest.Environment{CRDDirectoryPaths: []string{apiserver.CRDDirectory}, ControlPlaneStartTimeout: patience, ControlPlaneStopTimeout: patience}
	e.environment.ControlPlane.Etcd = &envtest.Etcd{DataDir: e.folder}
	config, err := e.environment.Start()
	if err != nil {
		e.t.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1
	e.config = config
}

func (e *etcd) stop() {
	e.t.Helper()
	if err := e.environment.Stop(); err != nil {
		e.t.Error(err)
	}
}

func (e *etcd) client() client.Client {
	e.t.Helper()
	c, err := client.New(e.config, client.Options{Scheme: apiserver.NewClient(e.t).Scheme()})
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

// snapshot copies the data while nobody writes, and goes on.
func (e *etcd) snapshot() string {
	e.t.Helper()
	e.stop()
	copied := filepath.Join(e.t.TempDir(), "snapshot")
	if err := os.CopyFS(copied, os.DirFS(e.folder)); err != nil {
		e.t.Fatal(err)
	}
	if err := os.Chmod(copied, 0o700); err != nil { // else etcd refuses it
		e.t.Fatal(err)
	}
	e.start()
	return copied
}

// putBack goes on with a snapshot in the place of the data.
func (e *etcd) putBack(snapshot string) {
	e.t.Helper()
	e.stop()
	e.folder = snapshot
	e.start()
}
