// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// keeper keeps components running and reaps processes that others have left to the first
// one.
type keeper struct {
	mu  sync.Mutex
	own map[int]bool // processes that exec waits for
}

func newKeeper() *keeper { return &keeper{own: map[int]bool{}} }

// keep runs a component, and runs it again after it has ended: at once after a crash, and
// once hold/<name> has gone where a test has put that file there.
func (k *keeper) keep(ctx context.Context, c component) {
	for ctx.Err() == nil {
		if _, err := os.Stat(in("hold", c.name)); err == nil || c.after != nil && c.after() != nil {
			if wait(ctx, retry) != nil {
				return
			}
			continue
		}
		err := k.run(c)
		say("%s %s has ended: %v", time.Now().Format(time.RFC3339), c.name, err)
		if wait(ctx, restartPause) != nil {
			return
		}
	}
}

// run runs a component until it ends.
func (k *keeper) run(c component) error {
	log, err := os.OpenFile(logOf(c.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()                                           // the process has its own
	command := exec.Command(c.arguments[0], c.arguments[1:]...) //nolint:noctx // it ends with the namespace
	command.Stdout, command.Stderr = log, log
	command.Dir = folder
	k.mu.Lock()
	err = command.Start()
	if err == nil {
		k.own[command.Process.Pid] = true
	}
	k.mu.Unlock()
	if err != nil {
		return err
	}
	err = command.Wait()
	k.mu.Lock()
	delete(k.own, command.Process.Pid)
	k.mu.Unlock()
	return err
}

// reap takes the exit status of processes whose parent has ended before them, which the
// kernel leaves to the first process of a namespace.
func (k *keeper) reap(ctx context.Context) {
	for wait(ctx, time.Second) == nil {
		stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
		for _, file := range stats {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2]) // digits
			k.mu.Lock()
			if !k.own[pid] && isZombie(file) {
				_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // not ours: ECHILD
			}
			k.mu.Unlock()
		}
	}
}

// isZombie reads the state, which follows the name in parentheses (proc_pid_stat(5)).
func isZombie(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "Z 1 ")
}

// answers reports whether something listens at an address.
func answers(address string) func() error {
	return func() error {
		connection, err := net.DialTimeout("tcp", address, time.Second) //nolint:noctx // it has a deadline
		if err != nil {
			return fmt.Errorf("nothing listens on %s yet: %w", address, err)
		}
		return connection.Close()
	}
}

func exists(file string) func() error {
	return func() error {
		_, err := os.Stat(file)
		return err
	}
}

func both(first, second func() error) func() error {
	return func() error { return errors.Join(first(), second()) }
}
