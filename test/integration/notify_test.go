// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/notify"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// webhook notes what it is told: "stalled" or "resolved", of whom and why.
type webhook struct {
	mu       sync.Mutex
	told     []string
	messages []string
}

func (h *webhook) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var event struct {
		Type, Subject string
		Data          struct{ Name, Reason, Message string }
	}
	_ = json.NewDecoder(r.Body).Decode(&event) // an event that cannot be read is none that is wanted
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, event.Type[strings.LastIndex(event.Type, ".")+1:]+" "+event.Data.Name+" "+event.Data.Reason)
	h.messages = append(h.messages, event.Data.Message)
}

func (h *webhook) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.told)
}

func (h *webhook) said(nth int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.messages[nth]
}

// notified has the world's operators tell a webhook.
func (w *world) notified() *webhook {
	w.t.Helper()
	hook := &webhook{}
	server := httptest.NewTLSServer(hook)
	w.t.Cleanup(server.Close)
	folder := w.t.TempDir()
	ca, key := filepath.Join(folder, "ca.crt"), filepath.Join(folder, "key")
	must(w.t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	must(w.t, os.WriteFile(key, []byte("whsec_plJ3nmyCDGBKInavdOK15jsldcL6WVHPplJ3nmyCDGA="), 0o600))
	policy := egress.Policy{}
	must(w.t, policy.AllowCIDRs.Set("127.0.0.0/8"))
	must(w.t, policy.CAFiles.Set(ca))
	calls, err := egress.New(policy)
	must(w.t, err)
	w.notifier = func() *notify.Notifier {
		notifier, err := notify.New(notify.Options{URL: server.URL, KeyFile: key, Egress: calls, Clock: w.clock, Log: logr.Discard()})
		must(w.t, err)
		return notifier
	}
	return hook
}

// TestAWebhookIsToldOfStalls takes a credential into a stall and out of it, with a restart in
// between that has nothing new to say.
func TestAWebhookIsToldOfStalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	hook := w.notified()
	operator := w.start()
	b := builtInNamed(t, "oauth2")
	right := b.seed
	b.seed = "a-refresh-token-that-nobody-knows"
	b.create(w)
	_, condition := w.awaitCondition(b.provider, v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReauthorizationRequiredReason)
	stalled := []string{"stalled oauth2 ReauthorizationRequired"}
	if !w.eventually(func() bool { return len(hook.all()) > 0 }) || !slices.Equal(hook.all(), stalled) {
		t.Fatalf("the webhook is told %q, want %q", hook.all(), stalled)
	}
	if said := hook.said(0); strings.Contains(said, b.seed) || said != condition.Message {
		t.Errorf("the message is not the condition's, %q, or holds the token: %q", condition.Message, said)
	}

	operator.shutDown()
	w.start()
	w.secret(b.provider+"-seed", map[string]string{"refresh_token": right})
	w.awaitFresh(b.provider)
	all := append(slices.Clone(stalled), "resolved oauth2 TokenValid")
	if !w.eventually(func() bool { return len(hook.all()) >= len(all) }) || !slices.Equal(hook.all(), all) {
		t.Errorf("the webhook is told %q, want %q: a restart says nothing twice", hook.all(), all)
	}
}
