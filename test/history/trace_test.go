// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// modelTrace is what a history does, as far as the model of the protocol sees it too: what the
// state holds after each write that changes that, and each token that is sent. Each element
// is a line of numbers, whose meaning test/model/rotation.pml says at TRACE.
type modelTrace struct {
	seen     []string
	last     string
	by       int
	isBeyond bool // something happens that the model has not
}

const (
	traceWrote = 1
	traceSent  = 2
)

// modelled is how many tokens the model's provider has, and longestTrace how many elements
// are followed.
const (
	modelled     = 7
	longestTrace = 24
)

func (w *world) traceWrite(now stored) {
	var made *claim
	if now.attempt != nil {
		made = w.claims[now.attempt.ID]
	}
	if w.writer == nil || now.attempt != nil && made == nil { // somebody else wrote, or has claimed
		w.trace.isBeyond = true
		return
	}
	claimed, by := 0, 0
	if made != nil {
		claimed, by = 1, w.replicaOf(made.process)
		if now.attempt.Resend {
			claimed = 2
		}
	}
	if made == nil && strings.Contains(now.spent, digest(now.refreshToken)) {
		claimed, by = 2, w.trace.by // that it is lost stands in the ledger; in the model, the claim of the retry stays
	}
	w.trace.by = by
	state := fmt.Sprintf("%d, %d, %d", w.numberOf(now.refreshToken), claimed, by)
	if state != w.trace.last {
		w.trace.last = state
		w.trace.seen = append(w.trace.seen, fmt.Sprintf("{%d, %d, %s}", traceWrote, w.replicaOf(w.writer), state))
	}
}

func (w *world) traceSend(visit *visit, token string) {
	w.trace.seen = append(w.trace.seen, fmt.Sprintf("{%d, %d, %d, 0, 0}", traceSent, w.replicaOf(visit.process), w.numberOf(token)))
}

// traceFate notes what becomes of an effect, where the model has nothing of the kind.
func (w *world) traceFate(decided fate) {
	if slices.Contains([]fate{invalidGrant, underWayForLong, answeredAfterLong}, decided) {
		w.trace.isBeyond = true
	}
}

func (w *world) replicaOf(p *process) int {
	return slices.IndexFunc(w.replicas, func(r *replica) bool { return r == p.replica })
}

// numberOf a token of the first grant, in the order of their issue.
func (w *world) numberOf(token string) (number int) {
	if _, err := fmt.Sscanf(token, "grant1-refresh-%d", &number); err != nil || number > modelled {
		w.trace.isBeyond = true
	}
	return number
}

// tracedPods are what the pods have of which the model has variants.
var tracedPods = map[string]setup{
	"":              {},
	"spool":         {withSpool: true},
	"courier":       {carries: forgetful},
	"courier-spool": {carries: keeping, withSpool: true},
}

// TestTracesForTheModel plays histories without what the model leaves out, and writes what
// the model must be able to do too: `make model-traces` has spin look for each of them.
//
//	TRACES=FILE go test ./test/history -run TestTracesForTheModel -rapid.checks=400
func TestTracesForTheModel(t *testing.T) {
	t.Parallel()
	file := os.Getenv("TRACES")
	if file == "" {
		t.Skip("nobody asks for traces (TRACES)")
	}
	shared, err := newShared(memory(t))
	if err != nil {
		t.Fatal(err)
	}
	policy := os.Getenv("TRACES_OF") // the name of a variant
	at := slices.IndexFunc(variants(), func(v variant) bool { return v.name == policy })
	if at < 0 {
		t.Fatalf("there is no variant %q: TRACES_OF names one, such as hold or retry", policy)
	}
	pods, ok := tracedPods[os.Getenv("TRACES_WITH")]
	if !ok {
		t.Fatalf("no pod has a %q: TRACES_WITH names what pods have, such as spool or courier", os.Getenv("TRACES_WITH"))
	}
	pods.variant, pods.withSeed, pods.clocks = variants()[at], true, make([]time.Duration, 2)
	var all []string
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			w := newWorld(rt, shared, pods)
			defer w.end()
			actions := w.actions()
			for _, beyond := range []string{"user", "request lands", "rotates now", "all is well"} {
				delete(actions, beyond)
			}
			if pods.carries == noCourier {
				delete(actions, "courier fails")
				delete(actions, "outlives")
			}
			rt.Repeat(actions)
			w.settle(rt)
			if seen := w.trace.seen; !w.trace.isBeyond && len(seen) > 2 {
				all = append(all, strings.Join(seen[:min(len(seen), longestTrace)], ", "))
			}
		})
	})
	slices.Sort(all)
	all = slices.Compact(all)
	if err := os.WriteFile(file, []byte(strings.Join(all, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d traces that differ are in %s", len(all), file)
}
