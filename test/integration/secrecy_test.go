// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/common/expfmt"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
	"github.com/tokenkeeper/tokenkeeper/test/onlooker"
)

// canaries are secrets that must be found nowhere. Safe for concurrent use.
type canaries struct {
	mu  sync.Mutex
	all []string
}

// add makes a canary whose every part of 8 characters is its own.
func (c *canaries) add() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var text strings.Builder
	for i := range 6 {
		fmt.Fprintf(&text, "%cq%03dz%02dW", 'a'+i, len(c.all), i)
	}
	c.all = append(c.all, text.String())
	return text.String()
}

// shortestPart is how much of a secret must not be shown.
const shortestPart = 8

// find returns the first part of a canary that a text holds, in clear or as an
// API server, a URL or a dump would write it.
func (c *canaries) find(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, canary := range c.all {
		for _, form := range []string{
			canary, url.QueryEscape(canary), hex.EncodeToString([]byte(canary)),
			base64.StdEncoding.EncodeToString([]byte(canary)),
			base64.StdEncoding.EncodeToString([]byte("_" + canary))[4:], base64.StdEncoding.EncodeToString([]byte("__" + canary))[4:],
		} {
			for i := range len(form) - shortestPart + 1 {
				if part := form[i : i+shortestPart]; strings.Contains(text, part) {
					return part + " of " + canary
				}
			}
		}
	}
	return ""
}

func TestNoSecretIsShownAnywhere(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "canary tokens in every input and reply")
	w := newWorld(t, simulator.Hour)
	w.verbosity = 10
	hidden := &canaries{}
	w.simulator.Configure(func(o *simulator.Options) {
		o.NewToken = func(simulator.TokenRequest) string { return hidden.add() }
		o.OAuth.Extra = map[string]any{"id_token": hidden.add()}
	})
	app, seed, mcsApp := hidden.add(), hidden.add(), hidden.add()
	oauthKey, mcsKey, password := hidden.add(), hidden.add(), hidden.add()
	_, err := w.simulator.Add(simulator.Seed{
		Apps: []simulator.App{
			{Vendor: simulator.OAuth, Key: oauthKey, Secret: app},
			{Vendor: simulator.MCS, Key: mcsKey, Secret: mcsApp},
		},
		Users: []simulator.User{{Vendor: simulator.MCS, Name: "user@example.com", Password: password}},
	})
	must(t, err)
	_, err = w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{{Vendor: simulator.OAuth, App: oauthKey, RefreshToken: seed}}})
	must(t, err)
	w.start()
	oauth, mcs := builtInNamed(t, "oauth2"), builtInNamed(t, "mcs")
	oauth.app, oauth.seed = map[string]string{"app_key": oauthKey, "app_secret": app}, seed
	mcs.app, mcs.seed = map[string]string{"app_key": mcsKey, "app_secret": mcsApp}, ""
	mcs.login = map[string]string{"email": "user@example.com", "password": password}
	oauth.create(w)
	mcs.create(w)
	w.awaitFresh(oauth.provider)
	w.awaitFresh(mcs.provider)

	// Each kind of failure echoes what was sent, in every place that it can.
	refusals := []func(simulator.Reply) simulator.Reply{}
	for _, refusal := range []struct {
		status int
		body   string
	}{
		{503, "<html>%[1]s %[2]s</html>"},
		{429, `{"error":"slow_down","error_description":"too often: refresh_token=%[1]s client_secret=%[2]s"}`},
		{400, `{"error":"invalid_request","error_description":"bad request: %[1]s, %[2]s"}`},
		{401, `{"error":"invalid_client","error_description":"client %[2]s with token %[1]s"}`},
		{200, `{"access_token":"%[1]s\n","error_description":"%[2]s"}`},
		{200, `{"access_token":{"%[1]s":"%[2]s"}}`},
	} {
		refusals = append(refusals, func(simulator.Reply) simulator.Reply {
			return simulator.Reply{Status: refusal.status, Header: map[string][]string{"Retry-After": {"1"}, "X-Echo": {app}},
				Body: fmt.Sprintf(refusal.body, w.state(oauth.provider, "refresh_token"), app)}
		})
	}
	for i, refusal := range refusals {
		for _, b := range []builtIn{oauth, mcs} {
			w.simulator.QueueFault(simulator.Match{Vendor: b.vendor}, 1, simulator.Fault{Rewrite: refusal, Reply: &simulator.Reply{}})
			asked := fmt.Sprint("fails ", i)
			w.askForRefresh(b.provider, asked)
			w.await(b.provider, "an ended attempt", func(c *v1alpha1.TokenCredential) bool {
				stalled := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.StalledCondition)
				return c.Status.LastHandledRefreshAt == asked || stalled != nil && stalled.Reason == v1alpha1.OutcomeUnknownReason
			})
		}
		w.simulator.ClearFaults()
		w.checkHidden(hidden)
	}
	w.secret(oauth.provider+"-app", map[string]string{"wrong_key": app})
	w.await(oauth.provider, "what the Secret lacks is said, too", func(c *v1alpha1.TokenCredential) bool {
		refreshed := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.RefreshedCondition)
		return refreshed != nil && strings.Contains(refreshed.Message, "has no value under the key")
	})
	mcs.app["note"] = "corrected"
	w.secret(mcs.provider+"-app", mcs.app)
	w.awaitFresh(mcs.provider)
	w.deleteSecret(mcs.target())
	if !w.eventually(func() bool { return w.read(mcs.target()) != nil }) {
		t.Fatal("the target was not written again")
	}
	w.checkHidden(hidden)
	if !strings.Contains(w.journal.String(), "Reconcil") || len(hidden.all) < 8 {
		t.Errorf("the test looked at nothing: %d canaries", len(hidden.all))
	}
}

// checkHidden looks for canaries wherever the operator writes for people.
func (w *world) checkHidden(hidden *canaries) {
	w.t.Helper()
	places := map[string]string{"log": w.journal.String(), "metrics": w.metricsText()}
	events, err := json.Marshal(w.eventList())
	must(w.t, err)
	places["events"] = string(events)
	var credentials v1alpha1.TokenCredentialList
	must(w.t, w.List(w.t.Context(), &credentials, client.InNamespace(w.namespace)))
	statuses, err := json.Marshal(credentials.Items)
	must(w.t, err)
	places["credentials"] = string(statuses)
	var secrets corev1.SecretList
	must(w.t, w.List(w.t.Context(), &secrets, client.InNamespace(w.namespace)))
	for i := range secrets.Items {
		metadata, err := json.Marshal(secrets.Items[i].ObjectMeta)
		must(w.t, err)
		places["metadata of "+secrets.Items[i].Name] = string(metadata)
	}
	for place, text := range places {
		if found := hidden.find(text); found != "" {
			w.t.Errorf("the %s: found %s", place, found)
			if at := strings.Index(text, found[:shortestPart]); at >= 0 {
				w.t.Logf("…%s…", text[max(0, at-300):min(len(text), at+100)])
			}
		}
	}
}

func (w *world) metricsText() string {
	w.t.Helper()
	families, err := w.metrics.Gather()
	must(w.t, err)
	var text strings.Builder
	for _, family := range families {
		_, err := expfmt.MetricFamilyToText(&text, family)
		must(w.t, err)
	}
	return text.String()
}

// showTo shows an onlooker what the operators of this world wrote outside of the API
// server, and which tokens there were.
func (w *world) showTo(o *onlooker.Onlooker) {
	for _, grant := range w.simulator.Grants() {
		where := "the grant " + grant.ID
		o.Hide(where+"'s access token", grant.AccessToken)
		known, _ := w.simulator.Grant(grant.ID)
		for _, token := range known.History {
			o.Hide(where+"'s refresh token", token.Value)
		}
	}
	if isPlanted(w.namespace) && o == bystander {
		return
	}
	for line := range strings.Lines(w.journal.String()) {
		o.See("the log of "+w.t.Name(), line)
	}
	if w.metrics != nil {
		o.See("the metrics of "+w.t.Name(), w.metricsText())
	}
}
