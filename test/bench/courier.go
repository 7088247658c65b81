// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tokenkeeper/tokenkeeper/hack/local"
)

const (
	// courierRounds alternate between a manager that calls by itself and one with a courier,
	// so that both get their share of what else the machine does.
	courierRounds = 2

	// warmAgain is how long a manager works before it is measured.
	warmAgain = 10 * time.Second
)

// courierProcess carries the exchanges of the managers that are started while it runs.
type courierProcess struct {
	command *exec.Cmd
	socket  string
}

// startCourier starts a courier, with replies sealed in a directory of its own.
func (l *lab) startCourier(ctx context.Context) error {
	folder, err := os.MkdirTemp(l.folder, "c")
	if err != nil {
		return err
	}
	binary, err := filepath.Abs(l.managerBinary)
	if err != nil {
		return err
	}
	name := filepath.Join(folder, courierName) // by which its processor time is told from the manager's
	if err := os.Symlink(binary, name); err != nil {
		return err
	}
	c := &courierProcess{socket: filepath.Join(folder, "socket")}
	c.command = exec.Command(name, append(local.ToSimulator(l.simulator.resolve(), l.simulator.caFile), //nolint:noctx // stopCourier ends it
		"--listen=unix:"+c.socket, "--spool-dir="+folder)...)
	c.command.Args = append([]string{name, "courier"}, c.command.Args[1:]...)
	c.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.command.Start(); err != nil {
		return fmt.Errorf("start the courier: %w", err)
	}
	l.courier = c
	return l.await(ctx, "the courier listens", time.Minute, func(context.Context) (bool, string, error) {
		_, err := os.Stat(c.socket)
		return err == nil, "", nil
	})
}

func (l *lab) stopCourier() {
	if l.courier != nil {
		_ = l.courier.command.Process.Signal(syscall.SIGTERM)
		_ = l.courier.command.Wait()
		l.courier = nil
	}
}

// courierName is the courier among the processes whose time is read.
const courierName = "courier"

// wayOut are the flags by which a manager reaches the provider.
func (l *lab) wayOut() []string {
	if l.courier != nil {
		return []string{"--courier=unix:" + l.courier.socket}
	}
	return local.ToSimulator(l.simulator.resolve(), l.simulator.caFile)
}

// measureCourier lets more single-use tokens be due than can be renewed, by turns with the
// courier in the manager and in a process of its own.
func measureCourier(ctx context.Context, l *lab) (*result, error) {
	r, kind := &result{}, singleUse
	observer, err := l.observe(ctx, false)
	if err != nil {
		return nil, err
	}
	defer observer.end()
	n := l.number(saturatedCredentials)
	p := population{vendor: kind.vendor, renewal: always(), count: n}
	if err := populate(ctx, l, p); err != nil {
		return nil, err
	}
	if _, err := l.start(ctx); err != nil {
		return nil, err
	}
	if err := warmUp(ctx, l, r, observer, n); err != nil {
		return nil, err
	}
	l.stop()
	var within, beside turns
	for i := range 2 * courierRounds {
		turn, apart := &within, i%4 == 1 || i%4 == 2 // the second pair in the other order: what drifts counts for both
		if apart {
			turn = &beside
		}
		if err := takeTurn(ctx, l, turn, apart); err != nil {
			return r, err
		}
	}
	lacking, err := observer.lacking(p, alwaysDue+time.Second)
	if err != nil {
		return r, err
	}
	r.add("tokens published, the courier in the manager", within.rate(), "/s")
	r.judge("tokens published, the courier a process of its own", beside.rate(), "/s", atLeast(0.95*within.rate()).because("95 %% of that"))
	r.add("share of that", 100*beside.rate()/within.rate(), "%")
	r.judge("tokens overdue at the end (0: it was not saturated)", float64(lacking), "", atLeast(1))
	r.add("processor time per refresh, the manager alone", within.cost("manager"), "ms")
	r.add("processor time per refresh, the manager beside a courier", beside.cost("manager"), "ms")
	r.add("processor time per refresh, its courier", beside.cost(courierName), "ms")
	for i := range courierRounds {
		r.note("turn %d: %.1f /s within, %.1f /s beside; %s", i+1, within[i].rate(), beside[i].rate(), beside[i].machine())
	}
	return r, nil
}

// turns are the spans in which one way was measured.
type turns []*span

func (t turns) rate() float64 {
	published, seconds := 0.0, 0.0
	for _, each := range t {
		published, seconds = published+each.published(), seconds+each.seconds()
	}
	return published / seconds
}

// cost is the mean of the processor time for each token that was published.
func (t turns) cost(process string) float64 {
	sum := 0.0
	for _, each := range t {
		sum += each.cost(process) / float64(len(t))
	}
	return sum
}

// takeTurn starts a manager, with a courier or without, and measures it.
func takeTurn(ctx context.Context, l *lab, to *turns, apart bool) error {
	what := "saturated, without a courier"
	if apart {
		what = "saturated, with a courier"
		if err := l.startCourier(ctx); err != nil {
			return err
		}
		defer l.stopCourier()
	}
	if _, err := l.start(ctx); err != nil {
		return err
	}
	defer l.stop()
	if err := l.watchFor(ctx, warmAgain, "warming up"); err != nil {
		return err
	}
	span, err := l.measure(ctx, l.window, what, nil)
	*to = append(*to, span)
	return err
}
