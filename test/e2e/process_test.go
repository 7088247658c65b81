// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// processes finds the node's processes of a name, as this machine numbers them. group is
// part of their control group, such as a pod's UID; "" finds the node's own components.
func processes(t *testing.T, group, name string) []int {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	must(t, err)
	found := []int{}
	for _, file := range names {
		pid, _ := strconv.Atoi(strings.Split(file, "/")[2]) // digits
		comm, err := os.ReadFile(file)
		if err != nil || strings.TrimSpace(string(comm)) != name[:min(len(name), 15)] || isCourier(pid) { // TASK_COMM_LEN
			continue
		}
		if group == "" && parentOf(pid) == firstProcess(t) || group != "" && isInGroup(pid, group) {
			found = append(found, pid)
		}
	}
	return found
}

// isCourier reports whether a process is the manager's courier, which is the same program.
func isCourier(pid int) bool {
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	arguments := bytes.Split(command, []byte{0})
	return err == nil && len(arguments) > 1 && string(arguments[1]) == "courier"
}

// killProcess sends SIGKILL to a process of the node.
func killProcess(t *testing.T, group, name string) {
	t.Helper()
	found := processes(t, group, name)
	if len(found) == 0 {
		t.Fatalf("the node has no process %s of %q", name, group)
	}
	for _, pid := range found {
		must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
}

// firstProcess of the node.
func firstProcess(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(env.node, "first.pid"))
	must(t, err)
	pid, err := strconv.Atoi(string(text))
	must(t, err)
	return pid
}

// parentOf reads proc_pid_stat(5), where the parent follows the state.
func parentOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(text, []byte(") "))
	fields := bytes.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}

// isInGroup reports whether a process is in a pod's control group. Its name has the UID
// with dashes, or with underscores where systemd makes it.
func isInGroup(pid int, group string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && (strings.Contains(string(text), group) || strings.Contains(string(text), strings.ReplaceAll(group, "-", "_")))
}
