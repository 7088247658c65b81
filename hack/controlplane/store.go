// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// binaries that a complete folder holds.
var binaries = []string{"etcd", "kube-apiserver", "kubectl"}

// store is setup-envtest's folder of binaries: k8s/<version>-<os>-<arch>/.
type store struct{ folder string }

// openStore finds the store by setup-envtest's own rules and creates it.
func openStore() (*store, error) {
	folder, err := storeFolder(runtime.GOOS, os.Getenv)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(folder, "k8s"), 0o750); err != nil {
		return nil, fmt.Errorf("create the folder for the control plane binaries: %w (set XDG_DATA_HOME or KUBEBUILDER_ASSETS to use another)", err)
	}
	return &store{folder: folder}, nil
}

// storeFolder is setup-envtest's DefaultStoreDir for systems that are Unix.
func storeFolder(system string, getenv func(string) string) (string, error) {
	home := getenv("HOME")
	if system == "darwin" {
		if home == "" {
			return "", errors.New("HOME is not set: set it, or KUBEBUILDER_ASSETS")
		}
		return filepath.Join(home, "Library", "Application Support", "io.kubebuilder.envtest"), nil
	}
	data := getenv("XDG_DATA_HOME")
	if data == "" {
		if home == "" {
			return "", errors.New("neither XDG_DATA_HOME nor HOME is set: set one, or KUBEBUILDER_ASSETS")
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "kubebuilder-envtest"), nil
}

// find gives the complete folder with the newest version that serves.
func (s *store) find(wanted version) (string, bool) {
	entries, err := os.ReadDir(filepath.Join(s.folder, "k8s"))
	if err != nil {
		return "", false
	}
	complete := []string{}
	for _, entry := range entries {
		text, ok := strings.CutSuffix(entry.Name(), platformSuffix())
		if ok && len(missingBinaries(filepath.Join(s.folder, "k8s", entry.Name()))) == 0 {
			complete = append(complete, text)
		}
	}
	newest, ok := wanted.newest(complete)
	return filepath.Join(s.folder, "k8s", newest.pattern()+platformSuffix()), ok
}

// platformSuffix ends the name of every folder for this machine.
func platformSuffix() string { return "-" + runtime.GOOS + "-" + runtime.GOARCH }

// missingBinaries lists what a folder lacks.
func missingBinaries(folder string) []string {
	return slices.DeleteFunc(slices.Clone(binaries), func(name string) bool {
		info, err := os.Stat(filepath.Join(folder, name))
		return err == nil && info.Mode().IsRegular() && info.Mode()&0o100 != 0
	})
}

// lock keeps other runs out until unlock is called; the system lifts it when
// this process ends, however it ends.
func (s *store) lock() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(s.folder, ".tokenkeeper.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the store: %w", err)
	}
	descriptor := int(file.Fd())
	if syscall.Flock(descriptor, syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		say("Another run is preparing the control plane binaries: waiting for it.")
		if err := syscall.Flock(descriptor, syscall.LOCK_EX); err != nil {
			return nil, errors.Join(fmt.Errorf("lock the store: %w", err), file.Close())
		}
	}
	return func() { _ = file.Close() }, nil
}

// workFolderPrefix begins the name of a folder in the making. It lies beside
// k8s/, where setup-envtest does not look.
const workFolderPrefix = ".tokenkeeper-"

// workFolder makes an empty folder on the store's file system, and removes those
// that killed runs left. The caller holds the lock.
func (s *store) workFolder() (string, error) {
	left, err := filepath.Glob(filepath.Join(s.folder, workFolderPrefix+"*"))
	if err != nil {
		return "", err
	}
	for _, folder := range left {
		if err := os.RemoveAll(folder); err != nil {
			return "", fmt.Errorf("remove what a killed run left: %w", err)
		}
	}
	return os.MkdirTemp(s.folder, workFolderPrefix)
}

// place moves a complete folder into the store under its own name.
func (s *store) place(folder string) (string, error) {
	if missing := missingBinaries(folder); len(missing) > 0 {
		return "", fmt.Errorf("the new folder lacks %v", missing)
	}
	placed := filepath.Join(s.folder, "k8s", filepath.Base(folder))
	// What is there already is not complete, or it would have been found.
	if err := os.RemoveAll(placed); err != nil {
		return "", fmt.Errorf("remove an incomplete folder: %w", err)
	}
	return placed, os.Rename(folder, placed)
}
