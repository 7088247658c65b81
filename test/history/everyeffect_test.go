// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// TestEveryEffectOnce plays each kind of visit undisturbed, which tells its effects, and
// then again for each of them: the process dies just before it, or just after it. After
// each step the invariant holds, and at rest the credential is well, or says what a person
// must do.
func TestEveryEffectOnce(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "killed just before or after any effect of a visit")
	playEach(t, func(learned trace) []disturbance {
		var all []disturbance
		for i, effect := range learned.effects {
			for _, decided := range []fate{killedBefore, killedAfter, managerKilled} {
				if !slices.Contains(effect.fates, decided) { // after a read it is as before what comes next
					continue
				}
				d := disturbance{effect: i + 1, isTo: effect.name, fate: decided}
				d.name = fmt.Sprintf("%d: %s: %s", d.effect, effect.name, decided)
				all = append(all, d)
				d.podsEnd = true
				d.name += " with its pod"
				all = append(all, d)
				d.awayFor = time.Hour
				d.name += ", for an hour"
				all = append(all, d)
			}
		}
		return all
	})
}

// TestEveryAnswerOnce plays each kind of visit again for each answer that each of its
// effects may get: the request is refused, does not arrive, or does and its reply is lost.
// There are thousands: `make test` plays a fourth of them, and `make fuzz-rotation` all.
func TestEveryAnswerOnce(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "any answer to any effect of a visit")
	const share = 4
	isWhole := os.Getenv("TEETH") == "all"
	playEach(t, func(learned trace) []disturbance {
		var all []disturbance
		turn := len(learned.effects) // kinds begin their turns apart
		for i, effect := range learned.effects {
			for _, decided := range effect.fates {
				if slices.Contains([]fate{killedBefore, killedAfter, managerKilled}, decided) {
					continue
				}
				if turn++; isWhole || turn%share == 0 {
					all = append(all, disturbance{name: fmt.Sprintf("%d: %s: %s", i+1, effect.name, decided), effect: i + 1, isTo: effect.name, fate: decided})
				}
			}
		}
		return all
	})
}

// TestEveryEventMissedOnce plays each kind of visit again for each change that it makes or
// is caused by: the cache never shows that one, until it lists anew or the object changes
// again.
func TestEveryEventMissedOnce(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a change that the cache never shows")
	playEach(t, func(learned trace) []disturbance {
		var all []disturbance
		for _, each := range learned.changes {
			all = append(all, disturbance{name: fmt.Sprintf("%d of %s is hidden", each.version, each.name), hidden: each.version})
		}
		return all
	})
}

// TestEveryReadStaleOnce plays each kind of visit again for each read of its cache, which
// shows what was there before.
func TestEveryReadStaleOnce(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a read of the cache that is one version behind")
	playEach(t, func(learned trace) []disturbance {
		var all []disturbance
		for _, read := range learned.reads {
			all = append(all, disturbance{name: fmt.Sprintf("read %d, of %s %s, is stale", read.number, read.of.kind, read.of.name), staleRead: read.number})
		}
		return all
	})
}

// disturbance is what goes wrong in one run of a visit; without any, nothing does.
type disturbance struct {
	name string
	// effect that meets a fate, the first is 1; what it is known to be; and where the process
	// dies, whether its pod does, and for how long none is there.
	effect  int
	isTo    string
	fate    fate
	podsEnd bool
	awayFor time.Duration
	// hidden is the version of a change that the cache never shows.
	hidden uint64
	// staleRead of the cache by the process that begins the visit, its first is 1.
	staleRead int
}

// trace is what a visit did.
type trace struct {
	effects []traced
	changes []changed
	reads   []freshRead // of the cache, where the process had not been shown that version
}

// traced is an effect, and what may become of it.
type traced struct {
	name  string
	fates []fate
}

// changed is a change of an object.
type changed struct {
	version uint64
	name    string
}

// playEach plays each kind of visit undisturbed, and then with one disturbance after the
// other.
func playEach(t *testing.T, disturbances func(trace) []disturbance) {
	t.Helper()
	shared, err := newShared(memory(t))
	if err != nil {
		t.Fatal(err)
	}
	for i, kind := range kindsOfVisit() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			own := *shared
			own.directory = filepath.Join(shared.directory, fmt.Sprint(i))
			own.stats = stats{}
			learned := kind.play(t, &own, disturbance{})
			for _, effect := range learned.effects {
				t.Log(effect.name)
			}
			all := disturbances(learned)
			for _, each := range all {
				t.Run(each.name, func(t *testing.T) { kind.play(t, &own, each) })
			}
			t.Logf("%d runs, %d effects", len(all), own.stats.Effects)
		})
	}
}

// play plays the visit with a disturbance, and checks what must hold.
func (k kindOfVisit) play(t *testing.T, shared *shared, d disturbance) (learned trace) {
	t.Helper()
	at := slices.IndexFunc(variants(), func(v variant) bool { return v.name == k.provider })
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shared, setup{variant: variants()[at], every: 2, withSeed: !k.loginAlone, withSpool: true, carries: k.carries, clocks: []time.Duration{0}})
		defer w.end()
		if k.before != nil {
			k.before(w)
		}
		learned = w.disturb(k, d)
		w.comeToRest()
		if reason := w.stalledFor(shop); d.name == "" && reason != k.stalls {
			t.Errorf("undisturbed it stalls with %q, want %q\n%s", reason, k.stalls, w.describe())
		}
	})
	return learned
}

// disturb plays a visit from its cause until all is quiet.
func (w *world) disturb(k kindOfVisit, d disturbance) (learned trace) {
	from := uint64(0)
	if k.before != nil {
		from = w.api.latest
	}
	if k.cause != nil {
		k.cause(w)
		w.done()
	}
	p := w.replicas[0].process
	p.hidden, p.staleRead, p.fresh = d.hidden, d.staleRead, nil
	w.podsEnd, w.awayFor = d.podsEnd, d.awayFor
	w.script = func(v *visit) fate {
		learned.effects = append(learned.effects, traced{v.at.String(), v.at.fates})
		if len(learned.effects) != d.effect {
			return done
		}
		if v.at.String() != d.isTo {
			w.t.Fatalf("the simulation itself fails: effect %d is to %s, and was to %s", d.effect, v.at, d.isTo)
		}
		return d.fate
	}
	w.rest()
	w.script = nil
	learned.reads, learned.changes = p.fresh, w.api.changedSince(from)
	if d.hidden > 0 { // by the next renewal, at the latest when the cache lists anew, it is found
		w.now = w.now.Add(lifetime)
		w.rest()
		p.hidden = 0
		clear(p.looked)
	}
	return learned
}

// changedSince are the changes after a resourceVersion.
func (a *apiServer) changedSince(resourceVersion uint64) []changed {
	var all []changed
	for key, versions := range a.versions {
		for _, each := range versions {
			if each.from > resourceVersion {
				all = append(all, changed{each.from, fmt.Sprintf("%s %s", key.kind, key.name)})
			}
		}
	}
	slices.SortFunc(all, func(x, y changed) int { return int(x.version) - int(y.version) })
	return all
}
