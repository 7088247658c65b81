// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Directory has a sealed file for each attempt whose reply is not saved yet. It should be
// in memory (an emptyDir of that medium): in a pod a container is restarted while its
// volumes stay.
type Directory struct {
	path   string
	shares shares
}

// suffix ends the name of a sealed file.
const suffix = ".sealed"

// temporarySuffix ends the name of one that is being written.
const temporarySuffix = ".tmp"

// LongestKept is how long a file is kept that an earlier process has left: longer than an
// API server is away. One whose state is found is dropped then; of a state that was deleted
// meanwhile nobody would ever ask for it.
const LongestKept = 7 * 24 * time.Hour

// OpenDirectory takes in what an earlier process has left, and removes what it was writing.
func OpenDirectory(path string) (*Directory, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("list the spool directory: %w", err)
	}
	d := &Directory{path: path}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), suffix+temporarySuffix) {
			_ = os.Remove(filepath.Join(path, entry.Name())) // it holds a part at most
			continue
		}
		name, isSealed := strings.CutSuffix(entry.Name(), suffix)
		if info, err := entry.Info(); isSealed && err == nil {
			d.shares.add(name, "", int(info.Size()))
		}
	}
	return d, nil
}

// Sweep removes what an earlier process has left and nobody has asked for in a long time.
func (d *Directory) Sweep(now time.Time) {
	for _, name := range d.shares.left() {
		if info, err := os.Stat(d.File(name)); err == nil && now.Sub(info.ModTime()) > LongestKept {
			d.Drop(name)
		}
	}
}

// HasRoom reports whether whatever comes for a namespace will find room. A namespace
// may fill half of what the others leave.
func (d *Directory) HasRoom(namespace string) bool { return d.shares.room(namespace, largest) }

// Put writes a file for a namespace, whole or not at all.
func (d *Directory) Put(namespace, name string, content []byte) error {
	if !d.shares.add(name, namespace, len(content)) {
		return fmt.Errorf("the spool has no room for %d bytes more of this namespace: it holds as much as it may that is not saved yet", len(content))
	}
	temporary := d.File(name) + temporarySuffix
	err := os.WriteFile(temporary, content, 0o600)
	if err == nil {
		err = os.Rename(temporary, d.File(name))
	}
	if err != nil {
		_ = os.Remove(temporary) // it may hold a part
		d.shares.drop(name)
		return fmt.Errorf("write to the spool: %w", err)
	}
	return nil
}

// Find returns a file's content, which is sealed.
func (d *Directory) Find(name string) ([]byte, bool) {
	content, err := os.ReadFile(d.File(name))
	return content, err == nil
}

// Drop removes a file.
func (d *Directory) Drop(name string) {
	_ = os.Remove(d.File(name)) // a file that stays is found and dropped with the pod
	d.shares.drop(name)
}

// Names of the files that an earlier process has left.
func (d *Directory) Names() []string { return d.shares.left() }

// Size is how many bytes the files take.
func (d *Directory) Size() int {
	d.shares.mu.Lock()
	defer d.shares.mu.Unlock()
	return d.shares.total
}

// File is the path of a name's file. The name comes from a Secret, or over a socket, so it
// is taken for a name alone.
func (d *Directory) File(name string) string {
	return filepath.Join(d.path, filepath.Base(filepath.Clean("/"+name))+suffix)
}
