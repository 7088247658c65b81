// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestACourierThatIsNotThereHasSentNothing(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "the socket of a courier that is gone")
	stale := socket(t)
	left, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = left.Close()
	for name, path := range map[string]string{"no socket": socket(t), "a socket without a listener": stale} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Connect(path, slog.New(slog.DiscardHandler))
			if err := r.Check(requestOf(t, t.Context())); !isNotSent(err) || !strings.Contains(err.Error(), path) {
				t.Errorf("before the claim: got %v, want an error that names the socket", err)
			}
			if _, err := exchange(t, r, attemptAt(r, "1")); !isNotSent(err) {
				t.Errorf("after the claim: got %v, want that nothing was sent", err)
			}
			if _, err := r.Ask(t.Context(), Question{Attempt: "1"}); !errors.Is(err, ErrSilent) {
				t.Errorf("asked: got %v, want that nobody answers", err)
			}
		})
	}
}

func TestACourierTakesThePlaceOfOneThatIsGone(t *testing.T) {
	t.Parallel()
	path := socket(t)
	left, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	if _, err := Listen(t.Context(), path, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("two couriers listen at one socket")
	}
	_ = left.Close()
	after, err := Listen(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("the socket of a courier that is gone stands in the way: %v", err)
	}
	defer func() { _ = after.Close() }()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is open to %v (%v), want its own user alone", info.Mode(), err)
	}
	file := filepath.Join(filepath.Dir(path), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), file, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file that is no socket is taken away")
	}
}

// TestASocketThatHangsIsBounded has a listener that never answers.
func TestASocketThatHangsIsBounded(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a courier's socket that hangs")
	path := socket(t)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	r := Connect(path, slog.New(slog.DiscardHandler))
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := r.Check(requestOf(t, t.Context())); !isNotSent(err) {
			t.Errorf("before the claim: got %v, want that nothing was sent", err)
		}
	})
	wait.Go(func() {
		if _, err := r.Ask(t.Context(), Question{Attempt: "1"}); !errors.Is(err, ErrSilent) {
			t.Errorf("asked: got %v, want that nobody answers", err)
		}
	})
	wait.Go(func() {
		ctx, cancel := context.WithTimeout(WithAttempt(t.Context(), attemptAt(r, "1")), time.Millisecond)
		defer cancel()
		if _, err := r.Do(requestOf(t, ctx), true); !errors.Is(err, ErrSilent) || isNotSent(err) {
			t.Errorf("in the exchange: got %v, want that it may have been sent, and is asked for again", err)
		}
	})
	wait.Wait()
}

func TestACourierOfAnotherVersionSaysWhichItSpeaks(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a courier of another version")
	path := socket(t)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	later := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
		if request.URL.Path != helloPath {
			reply.WriteHeader(http.StatusNotFound)
		}
		_ = json.NewEncoder(reply).Encode(map[string]any{"oldest": 7, "newest": 9, "version": "v9.0.0", "another": true})
	})}
	go func() { _ = later.Serve(listener) }()
	defer func() { _ = later.Close() }()
	r := Connect(path, slog.New(slog.DiscardHandler))
	for what, err := range map[string]error{
		"before the claim": r.Check(requestOf(t, t.Context())),
		"in the exchange":  second(exchange(t, r, attemptAt(r, "1"))),
	} {
		if !isNotSent(err) || !strings.Contains(err.Error(), "v9.0.0") || !strings.Contains(err.Error(), "protocol 7 to 9") {
			t.Errorf("%s: got %v, want that nothing was sent, and who speaks what", what, err)
		}
	}

	l := local(t, newWay(), "")
	path, _ = serve(t, l)
	r = connect(t, path)
	var met hello
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://courier/v2/exchange", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&met); err != nil || response.StatusCode != http.StatusNotFound || met.Newest != newestProtocol || met.Instance != l.Instance() {
		t.Errorf("a later manager gets %d %+v (%v), want what this courier speaks", response.StatusCode, met, err)
	}
}

func second(_ *egress.Reply, err error) error { return err }

// TestFieldsOfALaterVersionAreIgnored: what is added to a message needs no new protocol.
func TestFieldsOfALaterVersionAreIgnored(t *testing.T) {
	t.Parallel()
	l := local(t, newWay(), "")
	path, _ := serve(t, l)
	r := connect(t, path)
	came, err := r.post(t.Context(), time.Minute, askPath, map[string]any{
		"attempt": "1", "courier": l.Instance(), "started": time.Now(), "of a later version": map[string]any{"a": 1},
	})
	if err != nil || came.Fate != NeverReceived {
		t.Errorf("got %s, %v, want an answer", came.Fate, err)
	}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	t.Parallel()
	w := newWay()
	path, _ := serve(t, local(t, w, ""))
	r := connect(t, path)
	for name, body := range map[string]io.Reader{
		"no JSON":        strings.NewReader("canary"),
		"far too large":  io.MultiReader(strings.NewReader(`{"body":"`), bytes.NewReader(bytes.Repeat([]byte("A"), maxMessage+1))),
		"no key":         strings.NewReader(`{"method":"POST","url":"aHR0cHM6Ly9hLmV4YW1wbGU=","attempt":{"id":"1"}}`),
		"no certificate": strings.NewReader(`{"method":"POST","url":"aHR0cHM6Ly9hLmV4YW1wbGU=","certificate":{"key":"AAAA"}}`),
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://courier"+exchangePath, body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := r.http.Do(request)
		if err != nil {
			continue // it hangs up on what is too large
		}
		content, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK && !strings.Contains(string(content), "not-sent") || strings.Contains(string(content), "canary") {
			t.Errorf("%s: got %d %s", name, response.StatusCode, content)
		}
	}
	if w.count() != 0 {
		t.Errorf("%d requests were sent", w.count())
	}
}

func TestAManagerThatDiesDoesNotEndItsExchange(t *testing.T) {
	t.Parallel()
	w := newWay()
	w.hold = make(chan struct{})
	l := local(t, w, t.TempDir())
	path, _ := serve(t, l)
	dying := Connect(path, slog.New(slog.DiscardHandler))
	if _, err := dying.greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	attempt := attemptAt(dying, "1")
	message, err := enclose(requestOf(t, WithAttempt(t.Context(), attempt)), true, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	ctx, die := context.WithCancel(t.Context())
	died := make(chan struct{})
	go func() {
		defer close(died)
		_, _ = dying.post(ctx, time.Minute, exchangePath, message)
	}()
	<-w.begun
	die()
	<-died
	back := connect(t, path)
	if answer := ask(t, back, "1", attempt.Courier); answer.Fate != UnderWay {
		t.Fatalf("it says %s, want that it goes on", answer.Fate)
	}
	close(w.hold)
	answer, err := back.ask(t.Context(), Question{Attempt: "1", Courier: attempt.Courier, Started: time.Now()}, 30*time.Second)
	if err != nil || answer.Fate != Ended {
		t.Fatalf("it says %s (%v), want the reply: its end was waited for", answer.Fate, err)
	}
	came, _ := answer.Open(key)
	checkReply(t, came.Reply, came.Failure)
}

func TestAConnectionThatBreaksIsNoUnknownOutcome(t *testing.T) {
	t.Parallel()
	w := newWay()
	l := local(t, w, "")
	path, _ := serve(t, l)
	r := connect(t, path)
	attempt := attemptAt(r, "1")
	_, _ = exchange(t, r, attempt) // as if its answer had been lost
	reply, err := r.inquire(t.Context(), attempt, time.Now().Add(time.Minute))
	checkReply(t, reply, err)
	if _, err := r.inquire(t.Context(), attemptAt(r, "2"), time.Now().Add(time.Minute)); !isNotSent(err) {
		t.Errorf("got %v of a request that never arrived, want that nothing was sent", err)
	}
	elsewhere := attemptAt(r, "3")
	elsewhere.Courier = "the one before"
	if _, err := r.inquire(t.Context(), elsewhere, time.Now().Add(time.Minute)); err == nil || isNotSent(err) || errors.Is(err, ErrSilent) {
		t.Errorf("got %v of one that a courier took which is gone, want an unknown outcome", err)
	}
}

func TestARequestThatComesTooLateIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWay()
	path, _ := serve(t, local(t, w, ""))
	r := connect(t, path)
	message, err := enclose(requestOf(t, WithAttempt(t.Context(), attemptAt(r, "1"))), true, time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	came, err := r.post(t.Context(), time.Minute, exchangePath, message)
	if err != nil || !isNotSent(came.Failure.Err()) || w.count() != 0 {
		t.Errorf("got %+v, %v and %d requests: another manager may have taken the attempt over", came.Failure, err, w.count())
	}
}

func TestAClientCertificateCrossesTheSocket(t *testing.T) {
	t.Parallel()
	w := newWay()
	path, _ := serve(t, local(t, w, ""))
	r := connect(t, path)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	shown := &tls.Certificate{Certificate: [][]byte{[]byte("a certificate"), []byte("its authority")}, PrivateKey: private}
	reply, err := r.Do(requestOf(t, egress.WithCertificate(t.Context(), shown)), false)
	checkReply(t, reply, err)
	if !w.sent[0].certificate {
		t.Error("the request shows no certificate")
	}
}

func TestACourierGoesLast(t *testing.T) {
	t.Parallel()
	w := newWay()
	w.hold = make(chan struct{})
	l := local(t, w, "")
	path := socket(t)
	listener, err := Listen(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, terminate := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, listener, time.Hour) }()
	r := Connect(path, slog.New(slog.DiscardHandler))
	if _, err := r.greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	terminate()
	answered := make(chan error, 1)
	go func() {
		_, err := exchange(t, r, attemptAt(r, "1"))
		answered <- err
	}()
	<-w.begun
	close(w.hold)
	if err := <-answered; err != nil {
		t.Errorf("an exchange that begins while the courier ends fails: %v", err)
	}
	r.tell(t.Context(), "1")
	select {
	case err := <-ended:
		t.Fatalf("the courier ends (%v) although its manager is there", err)
	case <-time.After(4 * drainCheck):
	}
	r.http.CloseIdleConnections()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func TestACourierWaitsForTheManagerThatSavesNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	l := local(t, newWay(), "")
	_, stop := serve(t, l)
	_, _ = exchange(t, l, attemptAt(l, "1"))
	if err := stop(); err != nil {
		t.Errorf("at the end of its grace period it ends with %v", err)
	}
}

func TestTheLogOfACourierHoldsNoSecret(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "the log of a courier")
	var logged bytes.Buffer
	w := newWay()
	l, err := New(Options{Calls: w, Now: time.Now, Log: slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	attempt := attemptAt(l, "1")
	_, _ = exchange(t, l, attempt)
	w.reply, w.err = nil, egress.Unanswered("broke off")
	_, _ = exchange(t, l, attemptAt(l, "2"))
	_ = ask(t, l, "3", attempt.Courier)
	_, _ = exchange(t, l, attemptAt(l, "3"))
	if !strings.Contains(logged.String(), `"attempt":"1"`) || !strings.Contains(logged.String(), "auth.example") {
		t.Errorf("the log does not say what it did: %s", &logged)
	}
	for _, needle := range []string{"canary", "the token that was sent", key.Reveal(), "/token", "note"} {
		if strings.Contains(logged.String(), needle) {
			t.Errorf("the log holds %q: %s", needle, &logged)
		}
	}
}

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// BenchmarkExchange is what a courier adds to an exchange: the check before the claim, and the
// exchange itself.
func BenchmarkExchange(b *testing.B) {
	w := &way{begun: make(chan struct{}, 1), reply: &egress.Reply{Status: 200, Header: http.Header{}, Body: bytes.Repeat([]byte("x"), 2<<10)}}
	directory := b.TempDir()
	l, err := New(Options{Calls: w, Directory: directory, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(directory, "s")
	listener, err := Listen(b.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	go func() { _ = Serve(ctx, l, listener, time.Millisecond) }()
	defer stop()
	r := Connect(path, slog.New(slog.DiscardHandler))
	if _, err := r.greet(b.Context()); err != nil {
		b.Fatal(err)
	}
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		id := rand.Text()
		sealing, err := KeyOf(secret.New("the token that was sent"), id)
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		ctx := WithAttempt(b.Context(), Attempt{ID: id, Courier: r.Instance(), Namespace: "team", Key: sealing})
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://auth.example/token", strings.NewReader("grant_type=refresh_token"))
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Check(request); err != nil {
			b.Fatal(err)
		}
		if _, err := r.Do(request, true); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		<-w.begun
		l.Saved(id)
	}
	b.ReportMetric(float64(median(took).Microseconds()), "µs/p50")
}
