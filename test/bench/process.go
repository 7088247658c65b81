// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// ticks of processor time in a second, as /proc counts them for every user space.
const ticks = 100

// processorSeconds is the processor time that a process has used so far.
func processorSeconds(pid int) (float64, error) {
	fields, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	return fields.processorSeconds, nil
}

// stat is what is read of /proc/PID/stat.
type stat struct {
	name             string
	parent           int
	processorSeconds float64
}

func statOf(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(text))
}

// parseStat reads one line: the name is in parentheses and may hold some itself.
func parseStat(text string) (stat, error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("%q is no line of /proc/PID/stat", text)
	}
	const parent, user, system = 1, 11, 12 // counted from the state, which follows the name
	fields := strings.Fields(text[end+1:])
	if len(fields) <= system {
		return stat{}, fmt.Errorf("%q is no line of /proc/PID/stat", text)
	}
	numbers := make([]int, 3)
	for i, field := range []int{parent, user, system} {
		var err error
		if numbers[i], err = strconv.Atoi(fields[field]); err != nil {
			return stat{}, err
		}
	}
	return stat{name: text[open+1 : end], parent: numbers[0], processorSeconds: float64(numbers[1]+numbers[2]) / ticks}, nil
}

// childProcesses finds the children of this process that have the given names. A
// name that several have stands for the newest.
func childProcesses(names ...string) (map[string]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("the benchmark reads /proc: run it on Linux: %w", err)
	}
	found := map[string]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		process, err := statOf(pid)
		if err != nil || process.parent != os.Getpid() {
			continue // it is gone, or somebody else's
		}
		name := process.name
		if slices.Contains(names, name) {
			found[name] = max(found[name], pid)
		}
	}
	for _, name := range names {
		if found[name] == 0 {
			return nil, fmt.Errorf("there is no process %s", name)
		}
	}
	return found, nil
}

// residentBytes is the memory that a process holds (VmRSS), and how much of it is
// not backed by a file, such as the program itself (RssAnon).
func residentBytes(pid int) (resident, anonymous float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	if resident, err = fieldOf(text, "VmRSS:"); err != nil {
		return 0, 0, err
	}
	anonymous, err = fieldOf(text, "RssAnon:")
	return resident * 1024, anonymous * 1024, err
}

// fieldOf is the number after a label at the start of a line.
func fieldOf(text []byte, label string) (float64, error) {
	for line := range bytes.Lines(text) {
		if rest, found := bytes.CutPrefix(line, []byte(label)); found {
			fields := strings.Fields(string(rest))
			if len(fields) > 0 {
				return strconv.ParseFloat(fields[0], 64)
			}
		}
	}
	return 0, fmt.Errorf("there is no %s", label)
}

// idleSeconds is the processor time of the whole machine that nobody used.
func idleSeconds() (float64, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	const idle = 4
	if len(fields) <= idle {
		return 0, fmt.Errorf("%q is no line of /proc/stat", line)
	}
	n, err := strconv.ParseFloat(fields[idle], 64)
	return n / ticks, err
}

// processorSecondsOfBench is the processor time of this process; 0: not known.
func processorSecondsOfBench() float64 {
	used, err := processorSeconds(os.Getpid())
	if err != nil {
		return 0
	}
	return used
}

// idleNow is as idleSeconds; 0: not known.
func idleNow() float64 {
	idle, err := idleSeconds()
	if err != nil {
		return 0
	}
	return idle
}

// machine describes this one for the report.
type machine struct {
	Processors int     `json:"processors"`
	Model      string  `json:"model,omitempty"`
	MemoryGiB  float64 `json:"memoryGiB"`
	Kernel     string  `json:"kernel,omitempty"`
	Go         string  `json:"go"`
}

func thisMachine() machine {
	m := machine{Processors: runtime.NumCPU(), Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if label, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(label) == "model name" {
				m.Model = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		if kib, err := fieldOf(text, "MemTotal:"); err == nil {
			m.MemoryGiB = float64(int(kib/(1<<20)*10)) / 10
		}
	}
	if text, err := os.ReadFile(filepath.Join("/proc", "sys", "kernel", "osrelease")); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	return m
}
