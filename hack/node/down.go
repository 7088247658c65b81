// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	lockFile = "/run/lock/tokenkeeper-node"
	retry    = 200 * time.Millisecond
)

// lock reports whether a node is running, and if none is, keeps others from starting one
// until unlock is called. The system lifts it when this process ends, however it ends.
func lock() (unlock func(), running bool, err error) {
	_ = os.MkdirAll(filepath.Dir(lockFile), 0o755) //nolint:gosec // as distributions have it; opening says what is wrong
	file, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, lacking("%s cannot be opened (%v): a node takes root", lockFile, err)
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil, true, file.Close()
	}
	if err := file.Truncate(0); err != nil {
		return nil, false, errors.Join(err, file.Close())
	}
	if _, err := file.WriteString(strconv.Itoa(os.Getpid())); err != nil {
		return nil, false, errors.Join(err, file.Close())
	}
	return func() {
		_ = os.Remove(lockFile) // before others can lock it
		_ = file.Close()
	}, false, nil
}

// down asks the process that keeps the node to end, waits for that, and removes what a
// node that was killed has left.
func down(ctx context.Context) error {
	deadline := time.Now().Add(2 * endTimeout)
	asked := false
	for {
		unlock, running, err := lock()
		if err != nil {
			return err
		}
		if !running {
			defer unlock()
			return removeLeft(ctx)
		}
		if !asked {
			asked = true
			if err := askKeeper(); err != nil {
				return err
			}
		}
		if time.Now().After(deadline) {
			return errors.New("the node does not end")
		}
		if err := wait(ctx, retry); err != nil {
			return err
		}
	}
}

// askKeeper sends SIGTERM to the process that holds the lock.
func askKeeper() error {
	text, err := os.ReadFile(lockFile)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return fmt.Errorf("%s does not say which process keeps the node", lockFile)
	}
	say("Taking the node down ...")
	return syscall.Kill(pid, syscall.SIGTERM)
}

// removeLeft removes what a node leaves once its processes have ended: the outer end of
// its network, its control groups, its folder.
func removeLeft(ctx context.Context) error {
	disconnect(ctx)
	deadline := time.Now().Add(endTimeout)
	for {
		err := errors.Join(removeGroups(), os.RemoveAll(folder))
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if err := wait(ctx, retry); err != nil { // the kernel is still at it
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
