// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package security

import (
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const described = `
refresh:
  request: {url: "https://%s/token", form: {refresh_token: "${refreshToken}"}}
  response: {accessToken: body.access_token, refreshToken: "body.?refresh_token", message: "body.?message"}
rotation: {mode: SingleUse}
`

// zipped is a body as a provider may send it.
func zipped(body string) []byte {
	var buffer bytes.Buffer
	writer, _ := gzip.NewWriterLevel(&buffer, gzip.BestCompression)
	_, _ = writer.Write([]byte(body))
	_ = writer.Close()
	return buffer.Bytes()
}

// TestHostileRepliesDoNotFillTheMemory sends the same reply to 30 calls at once.
//
//nolint:paralleltest // it looks at the memory of the process
func TestHostileRepliesDoNotFillTheMemory(t *testing.T) {
	faults.Shows(t, "30 compressed bombs at once")
	const (
		calls = 30
		most  = 128 << 20 // bytes; one such reply took 79 MiB before it was bounded
	)
	objects := "[" + strings.Repeat(`{"":0},`, 149_796) + "0]" // 1 MiB, which gzip makes some kibibytes of
	for name, body := range map[string]string{
		"a gzip of objects":          objects,
		"a gzip of objects that fit": "[" + strings.Repeat(`{"":0},`, 37_000) + "0]",
		"a gzip of deep lists":       strings.Repeat("[", 250_000),
		"a gzip of one long text":    `{"message":"` + strings.Repeat("invalid ", 32_000) + `"}`,
		"a gzip of pairs":            strings.Repeat("a=1&", 65_000),
		"a gzip of bad UTF-8":        `{"a":"` + strings.Repeat("\xff", 260_000) + `"}`,
		"a gzip of zeros":            strings.Repeat("\x00", 64<<20),
	} {
		t.Run(name, func(t *testing.T) {
			compressed := zipped(body)
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(compressed)
			}))
			defer server.Close()
			call, client := callOf(t, server), clientOf(t, server)
			peak := watch(t)
			var group sync.WaitGroup
			for range calls {
				group.Go(func() {
					exchange := call.Begin(provider.Inputs{RefreshToken: secret.New("canary")}, time.Unix(0, 0), "id")
					request, err := exchange.Request(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					reply, _ := client.Do(request, true)
					if reply == nil {
						t.Error("no reply came")
						return
					}
					if outcome := exchange.Read(provider.Reply(*reply)); outcome.Reason != v1alpha1.OutcomeUnknownReason {
						t.Errorf("such a reply proves nothing: got %s", outcome.Reason)
					}
				})
			}
			group.Wait()
			if grown := peak(); grown > most {
				t.Errorf("%d replies of %d bytes took %d MiB, of at most %d", calls, len(compressed), grown>>20, most>>20)
			} else {
				t.Logf("%d replies of %d bytes took %d MiB", calls, len(compressed), grown>>20)
			}
		})
	}
}

// watch looks at the heap until the function that it gives is called, which says by how
// many bytes it grew at most.
func watch(t *testing.T) (peak func() uint64) {
	t.Helper()
	heap := func() uint64 {
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		return memory.HeapAlloc
	}
	runtime.GC()
	before, most, end, ended := heap(), uint64(0), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
				most = max(most, heap())
			}
		}
	}()
	return func() uint64 {
		close(end)
		<-ended
		return max(most, before) - before
	}
}

func callOf(t *testing.T, server *httptest.Server) *provider.Call {
	t.Helper()
	var spec v1alpha1.ClusterTokenProviderSpec
	if err := yaml.UnmarshalStrict([]byte(strings.Replace(described, "%s", server.Listener.Addr().String(), 1)), &spec); err != nil {
		t.Fatal(err)
	}
	compiled, err := compile.Provider("hostile", spec)
	if err != nil {
		t.Fatal(err)
	}
	return compiled.Refresh
}

func clientOf(t *testing.T, server *httptest.Server) *egress.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	policy := egress.Policy{CAFiles: egress.Files{file}}
	if err := policy.AllowCIDRs.Set("127.0.0.0/8"); err != nil {
		t.Fatal(err)
	}
	client, err := egress.New(policy)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
