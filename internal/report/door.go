// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// door is where updates come in. It is closed once the process ends, and whoever comes then
// writes by itself. Safe for concurrent use; its zero value waits for the lane to run.
type door struct {
	mu     sync.Mutex
	turns  *turns // nil until the lane runs
	ending bool   // the process ends: nobody comes to what is added now
}

// enqueue asks a writer to come to a status that is in the book, and reports whether one
// will: what is in the book before the lane closes is written in the end.
func (d *door) enqueue(key types.NamespacedName, isUrgent bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turns != nil {
		d.turns.add(key, isUrgent)
	}
	return !d.ending
}

// open lets writers come.
func (d *door) open(turns *turns) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turns = turns
}

// close has what is added from now on be written by whoever adds it.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ending = true
}
