// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestManyHistories plays as many histories as HISTORIES says, in one process for
// each core, and tells every ten seconds how far it is. It is what make
// fuzz-rotation runs.
func TestManyHistories(t *testing.T) {
	t.Parallel()
	wanted, err := strconv.Atoi(os.Getenv("HISTORIES"))
	if err != nil {
		t.Skip("HISTORIES says how many: make fuzz-rotation")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{t: t, self: self, each: make([]stats, max(1, min(runtime.NumCPU(), wanted))), began: time.Now()}
	r.seed, _ = strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if r.seed == 0 {
		r.seed = rand.Uint64()>>1 | 1
	}
	var all sync.WaitGroup
	for i := range r.each {
		all.Go(func() { r.shard(i, (wanted+i)/len(r.each)) })
	}
	all.Wait()
	r.tell()
	if sum := r.sum(); !t.Failed() && sum.Histories < wanted {
		t.Errorf("%d histories were played, want %d", sum.Histories, wanted)
	}
}

// run of many histories.
type run struct {
	t     *testing.T
	self  string // this test's own program
	seed  uint64
	began time.Time

	mu   sync.Mutex
	told time.Time
	each []stats // by shard
}

// shard plays some histories in a process of their own.
func (r *run) shard(i, histories int) {
	pipe := filepath.Join(r.t.TempDir(), "reports")
	if err := os.WriteFile(pipe, nil, 0o600); err != nil {
		r.t.Error(err)
		return
	}
	seed := r.seed + uint64(i)<<48
	command := exec.CommandContext(r.t.Context(), r.self, "-test.run=^TestNoTokenIsLostInSilence$", "-test.timeout=0",
		fmt.Sprintf("-rapid.checks=%d", histories), fmt.Sprintf("-rapid.seed=%d", seed), "-rapid.nofailfile")
	command.Env = append(os.Environ(), reportsTo+"="+pipe, "GOMAXPROCS=1")
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { r.watch(i, pipe, stop) })
	output, err := command.CombinedOutput()
	close(stop)
	watching.Wait()
	if err != nil {
		r.t.Errorf("%s\nPlay it again: go test ./test/history -run TestNoTokenIsLostInSilence -rapid.checks=1 -rapid.seed=(the seed above)", output)
	}
}

// watch reads a shard's reports as they come, to the last.
func (r *run) watch(i int, name string, stop <-chan struct{}) {
	file, err := os.Open(name)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer file.Close()
	for stopped := false; ; {
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			r.note(i, lines.Bytes())
		}
		if stopped {
			return
		}
		select {
		case <-stop:
			stopped = true
		case <-time.After(time.Second):
		}
	}
}

func (r *run) note(i int, line []byte) {
	r.mu.Lock()
	if json.Unmarshal(line, &r.each[i]) != nil {
		r.t.Errorf("a report cannot be read: %s", line)
	}
	due := time.Since(r.told) > 9*time.Second
	if due {
		r.told = time.Now()
	}
	r.mu.Unlock()
	if due {
		r.tell()
	}
}

func (r *run) sum() stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sum stats
	for _, each := range r.each {
		sum = sum.plus(each)
	}
	return sum
}

// tell says how far it is.
func (r *run) tell() {
	took, sum := time.Since(r.began), r.sum()
	_, _ = io.WriteString(os.Stderr, fmt.Sprintf("%6s  %s; %.0f histories/s, seed %d\n",
		took.Round(time.Second), sum, float64(sum.Histories)/took.Seconds(), r.seed))
}
