// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/budget"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/saving"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/spool"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// key of the digests of all tests here.
var key = digest.Random()

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// shopProvider refreshes and logs in; a test says what becomes of a token that was used.
const shopProvider = `
inputs: {app: Required, refreshToken: Optional, login: [password]}
refresh:
  request: {method: POST, url: "https://shop.example/token", form: {secret: "${app.secret}", refresh_token: "${refreshToken}"}}
  response: &response
    accessToken: body.access_token
    refreshToken: body.?refresh_token
    expiresIn: body.?expires_in
    failures:
    - {when: body.error == "invalid_grant", reason: ReauthorizationRequired}
    - {when: body.error == "invalid_client", reason: AppRejected}
    - {when: body.error == "invalid_request", reason: RequestRejected}
    - {when: body.error == "slow_down", reason: RateLimited}
    - {when: body.error == "unavailable", reason: ProviderUnavailable}
    message: body.?error_description
login:
  request: {method: POST, url: "https://shop.example/login", form: {secret: "${app.secret}", password: "${login.password}"}}
  response: *response
rotation: `

const (
	singleUse = shopProvider + "{mode: SingleUse, onUnknownOutcome: Hold}"
	windowed  = shopProvider + "{mode: SingleUse, onUnknownOutcome: Hold, reuseWindow: 60s}"
	reusable  = shopProvider + "{mode: Reusable}"
)

// Secrets of the scene, none of which may be in a message.
const (
	appSecret = "app-secret-canary"
	password  = "password-canary"
	seed      = "seed-canary"
	second    = "second-canary"
	third     = "third-canary"
	access    = "access-canary"
)

// scene is a credential, a fake API server, a provider that answers by a script, and a
// process that refreshes.
type scene struct {
	*testing.T
	*Refresher
	clock      *clocktesting.FakePassiveClock
	credential *v1alpha1.TokenCredential
	spool      string

	cluster client.WithWatch // past the counts and the failures
	lock    sync.Mutex
	asked   map[string]int // requests to the API server: "get shop-token-state"
	before  func(verb, name string) error
	after   func(verb, name string) error

	provider script
	metrics  counts
	woken    []types.NamespacedName
	lost     []*problem.Problem

	published func(digest string) token.Validity // as Job has it
}

func newScene(t *testing.T, described string) *scene {
	t.Helper()
	s := &scene{T: t, clock: clocktesting.NewFakePassiveClock(noon), asked: map[string]int{}, spool: t.TempDir()}
	s.credential = &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop", UID: "uid-shop", Generation: 1}}
	s.credential.Spec.ProviderRef.Name = "shop"
	s.credential.Spec.AppSecretRef = &v1alpha1.AppSecretReference{Name: "app"}
	s.credential.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: "seed"}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	s.cluster = fake.NewClientBuilder().WithScheme(scheme).WithObjects(s.credential.DeepCopy(),
		secretOf("app", map[string]string{"app_key": "key", "app_secret": appSecret}),
		secretOf("seed", map[string]string{"refresh_token": seed}),
		secretOf("login", map[string]string{"password": password}),
	).Build()
	s.start(described, "one")
	return s
}

// start is a process of the operator in this pod.
func (s *scene) start(described, process string) {
	s.Helper()
	var spec v1alpha1.ClusterTokenProviderSpec
	if err := yaml.Unmarshal([]byte(described), &spec); err != nil {
		s.Fatal(err)
	}
	catalog, err := inputs.NewCatalog(nil, map[string]v1alpha1.ClusterTokenProviderSpec{"shop": spec}, []string{"*"})
	if err != nil {
		s.Fatal(err)
	}
	spool, err := spool.Open(s.spool)
	if err != nil {
		s.Fatal(err)
	}
	api := s.intercepted()
	inFlight := &sync.WaitGroup{}
	s.Refresher = &Refresher{
		Inputs: &inputs.Gatherer{Catalog: catalog, Secrets: &inputs.Secrets{Metadata: s.cluster, Live: api}},
		Twins:  &twins.Finder{Client: api, Marks: marks.Marks{Cluster: "cluster", Key: key}},
		Calls: &call.Caller{
			Egress: &s.provider, Rates: &budget.Rates{}, Hosts: pace.NewHosts(workers, func(types.NamespacedName) {}),
			Metrics: &s.metrics, Clock: s.clock, Key: key,
		},
		Saver: &saving.Saver{
			States: &store.Store{Client: api, Cluster: "cluster", Key: key, Backoff: &wait.Backoff{Duration: time.Nanosecond}},
			Spool:  spool, Metrics: &s.metrics, InFlight: inFlight,
			Wake: func(credential types.NamespacedName) {
				s.lock.Lock()
				defer s.lock.Unlock()
				s.woken = append(s.woken, credential)
			},
			Lost: func(_ *v1alpha1.TokenCredential, p *problem.Problem) {
				s.lock.Lock()
				defer s.lock.Unlock()
				s.lost = append(s.lost, p)
			},
		},
		Clock:    s.clock,
		Holder:   spool.Holder(process),
		InFlight: inFlight,
	}
	s.Calls.Hosts.Enter(host, another, noon)
}

const (
	host = "shop.example"
	// workers leave a host two slots; one is taken, so that a slot which is left twice
	// shows as much as one which is not left.
	workers = 4
)

var another = pace.Waiter{Who: types.NamespacedName{Namespace: "team", Name: "another"}, Class: pace.New}

// freeSlots counts, and takes, what is left of the slots at the provider's host.
func (s *scene) freeSlots() int {
	free := 0
	for ; free < workers; free++ {
		probe := pace.Waiter{Who: types.NamespacedName{Namespace: fmt.Sprint("probe-", free), Name: "probe"}, Class: pace.New}
		if s.Calls.Hosts.Enter(host, probe, s.clock.Now()) != pace.Go {
			break
		}
	}
	return free
}

// freeInTheEnd counts, and takes, what is left of the host's slots a minute later, once
// another has left its own: of those for slow calls, among which whatever is in flight
// counts by then.
func (s *scene) freeInTheEnd() int {
	now, free := s.clock.Now().Add(time.Minute), 0
	s.Calls.Hosts.Leave(host, another, pace.Unasked, true, now)
	for n := range workers {
		slow := pace.Waiter{Who: types.NamespacedName{Namespace: fmt.Sprint("slow-", n), Name: "probe"}, Class: pace.New}
		elsewhere := fmt.Sprint("elsewhere-", n)
		s.Calls.Hosts.Enter(elsewhere, slow, now)
		now = now.Add(2 * time.Second)
		s.Calls.Hosts.Leave(elsewhere, slow, pace.Served, true, now)
		if s.Calls.Hosts.Enter(host, slow, now) == pace.Go {
			free++
		}
	}
	return free
}

// isBalanced fails the test where a slot or an exchange in flight has leaked.
func (s *scene) isBalanced() {
	s.Helper()
	ended := make(chan struct{})
	go func() { s.InFlight.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		s.Fatal("something is in flight still: the process would never end")
	}
	if free := s.freeInTheEnd(); free != workers/2 {
		s.Errorf("%d slots are free at the host, want %d: the slot of the call is to be left", free, workers/2)
	}
}

func (s *scene) intercepted() client.WithWatch {
	do := func(verb, name string, act func() error) error {
		s.lock.Lock()
		s.asked[verb+" "+name]++
		before, after := s.before, s.after
		s.lock.Unlock()
		if before != nil {
			if err := before(verb, name); err != nil {
				return err
			}
		}
		err := act()
		if err == nil && after != nil {
			return after(verb, name)
		}
		return err
	}
	return interceptor.NewClient(s.cluster, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			return do("get", key.Name, func() error { return c.Get(ctx, key, object, options...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			return do("list", "", func() error { return c.List(ctx, list, options...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			object.SetUID(types.UID("uid-" + object.GetName()))
			object.SetCreationTimestamp(metav1.NewTime(s.clock.Now()))
			return do("create", object.GetName(), func() error { return c.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			return do("update", object.GetName(), func() error { return c.Update(ctx, object, options...) })
		},
	})
}

// failing has the API server fail some requests for the state: those of a verb, or all
// writes for "write", n of them or, where n is negative, all.
func (s *scene) failing(verb string, n int, err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	var lock sync.Mutex
	s.before = func(asked, name string) error {
		lock.Lock()
		defer lock.Unlock()
		matches := asked == verb || verb == "write" && (asked == "create" || asked == "update")
		if n == 0 || !matches || name != s.credential.StateSecretName() {
			return nil
		}
		n--
		return err
	}
}

// restored ends the failures of the API server.
func (s *scene) restored() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.before, s.after = nil, nil
}

// requests to the API server so far, of all that name a Secret.
func (s *scene) requests(verb string) int {
	s.lock.Lock()
	defer s.lock.Unlock()
	total := 0
	for asked, times := range s.asked {
		if strings.HasPrefix(asked, verb+" ") {
			total += times
		}
	}
	return total
}

func (s *scene) writes() int { return s.requests("create") + s.requests("update") }

func (s *scene) wokenTimes() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	return len(s.woken)
}

// renew takes the steps of a reconcile that end with a call.
func (s *scene) renew(ctx context.Context) (Result, error) {
	s.Helper()
	record, err := s.Recover(ctx, s.credential)
	if err != nil {
		return Result{}, err
	}
	in, err := s.Inputs.Gather(s.Context(), s.credential)
	if err != nil {
		s.Fatal(err)
	}
	found, err := s.Judge(ctx, s.credential, in, record)
	if err != nil {
		return Result{}, err
	}
	return s.Refresh(ctx, Job{Credential: s.credential, Inputs: in, Found: found, Published: s.published})
}

// recovery is what the next reconcile makes of an attempt in the state.
func (s *scene) recovery() recovery.Verdict {
	s.Helper()
	found, err := s.judged()
	if err != nil {
		s.Fatal(err)
	}
	return found.Recovery
}

// spooled are the files that the spool keeps.
func (s *scene) spooled() []string {
	s.Helper()
	files, err := filepath.Glob(filepath.Join(s.spool, "*.sealed"))
	if err != nil {
		s.Fatal(err)
	}
	return files
}

// stored is the state as the API server has it.
func (s *scene) stored() rotation.State {
	s.Helper()
	record, err := (&store.Store{Client: s.cluster, Cluster: "cluster", Key: key}).Load(s.Context(), s.credential)
	if err != nil {
		s.Fatal(err)
	}
	return record.State
}

// keeps gives the credential a state, as if by an earlier refresh.
func (s *scene) keeps(change func(rotation.State) rotation.State) {
	s.Helper()
	states := &store.Store{Client: s.intercepted(), Cluster: "cluster", Key: key}
	record, err := states.Load(s.Context(), s.credential)
	if err != nil {
		s.Fatal(err)
	}
	if err := states.Save(s.Context(), record, change(record.State)); err != nil {
		s.Fatal(err)
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.asked = map[string]int{}
}

// gives the user's Secret another refresh token.
func (s *scene) gives(token string) {
	s.Helper()
	stored := &corev1.Secret{}
	if err := s.cluster.Get(s.Context(), client.ObjectKey{Namespace: "team", Name: "seed"}, stored); err != nil {
		s.Fatal(err)
	}
	stored.Data["refresh_token"] = []byte(token)
	if err := s.cluster.Update(s.Context(), stored); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) mayLogIn() {
	s.credential.Spec.LoginSecretRef = &v1alpha1.LoginSecretReference{Name: "login"}
}

func secretOf(name string, data map[string]string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Data: map[string][]byte{}}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	return secret
}

func forbidden() error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "shop-token-state", errors.New("a quota, with "+second))
}

func conflict() error {
	return apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "shop-token-state", errors.New("changed"))
}

var errNoAnswer = errors.New("connection refused")

// script is a provider that answers what a test says, in order.
type script struct {
	lock    sync.Mutex
	answers []func() (*egress.Reply, error)
	// sent are the refresh tokens, or "login".
	sent   []string
	calls  []asked
	denied error
	during func() // while it has the request
}

// asked is a request to the provider.
type asked struct{ host, body string }

// Check implements egress.Caller.
func (p *script) Check(*egress.Request) error { return p.denied }

// Do implements egress.Caller.
func (p *script) Do(request *egress.Request, _ bool) (*egress.Reply, error) {
	var body []byte
	if request.Body != nil {
		var err error
		if body, err = io.ReadAll(request.Body); err != nil {
			return nil, err
		}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	p.lock.Lock()
	p.sent = append(p.sent, cmp.Or(form.Get("refresh_token"), "login"))
	p.calls = append(p.calls, asked{request.URL.Host, string(body)})
	if len(p.answers) == 0 {
		p.lock.Unlock()
		return nil, errors.New("the script has no answer to this call")
	}
	next := p.answers[0]
	p.answers = p.answers[1:]
	during := p.during
	p.lock.Unlock()
	if during != nil {
		during()
	}
	return next()
}

func (p *script) answer(answers ...func() (*egress.Reply, error)) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.answers = append(p.answers, answers...)
}

// replies with a status and a JSON body.
func replies(status int, body string) func() (*egress.Reply, error) {
	return func() (*egress.Reply, error) {
		return &egress.Reply{Status: status, Header: http.Header{}, Body: []byte(body)}, nil
	}
}

// rotates grants an access token and another refresh token.
func rotates(refreshToken string) func() (*egress.Reply, error) {
	return replies(http.StatusOK, fmt.Sprintf(`{"access_token":%q,"refresh_token":%q,"expires_in":3600}`, access, refreshToken))
}

// refuses with an error that a rule of the provider classifies.
func refuses(reason string) func() (*egress.Reply, error) {
	return replies(http.StatusBadRequest, fmt.Sprintf(`{"error":%q,"error_description":"no %s"}`, reason, seed))
}

func fails(err error) func() (*egress.Reply, error) {
	return func() (*egress.Reply, error) { return nil, err }
}

// breaksOff is an exchange of which no whole reply came.
func breaksOff() func() (*egress.Reply, error) { return fails(errors.New("the exchange broke off")) }

// counts implements Metrics.
type counts struct {
	lock    sync.Mutex
	codes   []string
	results []string
	unsaved int
}

// Exchanged implements Metrics.
func (c *counts) Exchanged(_, code string, _ time.Duration) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.codes = append(c.codes, code)
}

// Refreshed implements Metrics.
func (c *counts) Refreshed(_, result string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.results = append(c.results, result)
}

// Unsaved implements Metrics.
func (c *counts) Unsaved(change int) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.unsaved += change
}

// reasonOf an error, as a table names it: a problem's reason, "Pause", or empty.
func reasonOf(err error) string {
	var pause *problem.Pause
	switch {
	case err == nil:
		return ""
	case errors.As(err, &pause):
		return "Pause"
	case problem.Of(err) != nil:
		return problem.Of(err).Reason
	}
	return "error: " + err.Error()
}

// holdsNoSecret fails the test where a message holds one.
func holdsNoSecret(t *testing.T, message string) {
	t.Helper()
	for _, each := range []string{appSecret, password, seed, second, third, access} {
		if strings.Contains(message, each) {
			t.Errorf("the message %q holds a secret", message)
		}
	}
}

// tokens of a state, by the names of this file.
func tokens(state rotation.State) string {
	names := map[string]string{}
	for _, each := range []string{seed, second, third} {
		names[digestOf(each)] = strings.TrimSuffix(each, "-canary")
	}
	spent := slices.DeleteFunc(slices.Collect(maps.Keys(names)), func(digest string) bool { return !state.Spent.Contains(digest) })
	for i, digest := range spent {
		spent[i] = names[digest]
	}
	slices.Sort(spent)
	attempt := ""
	if state.Attempt != nil {
		attempt = " claimed"
		if state.Attempt.Resend {
			attempt = " claimed again"
		}
	}
	return names[state.RefreshToken.Digest()] + attempt + ", spent: " + strings.Join(spent, " ")
}

// carriedBy has exchanges go by a way, of which a courier tells; nil: none does.
func (s *scene) carriedBy(way egress.Caller, by courier.Courier) {
	s.Calls.Egress, s.Calls.Courier, s.Saver.Courier = way, by, by
}
