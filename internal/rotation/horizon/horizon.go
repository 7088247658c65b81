// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package horizon notices that a cluster has gone back in time: its etcd was restored from
// a snapshot, which keeps every UID and so cannot be told from the objects themselves. It
// knows revisions alone, and neither states nor the API server.
//
// Every write of the API server has a higher revision than all before it. So a revision
// that is lower than one seen earlier shows that the cluster was put back, as long as it
// has not come as far again, and unless the restore raised the revisions (etcdutl's
// --bump-revision does). What no process of a pod remembers is not seen either.
package horizon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// fileName is that of the file in the spool's directory.
const fileName = "horizon"

// Horizon is how far a cluster has come, and where it was put back to. Nil knows nothing.
// Safe for concurrent use.
type Horizon struct {
	mu    sync.Mutex
	file  string // empty: in memory alone
	known known
}

// known of a cluster.
type known struct {
	// Cluster is its UID: another one has revisions of its own.
	Cluster string `json:"cluster"`
	// Newest revision that was seen.
	Newest string `json:"newest,omitempty"`
	// Restored is where the cluster stood when it was last seen to have gone back.
	Restored string `json:"restored,omitempty"`
}

// Open takes up what an earlier process of the pod has kept of a cluster in a directory,
// which outlives the process; no directory: in memory alone.
func Open(directory, cluster string) (*Horizon, error) {
	h := &Horizon{known: known{Cluster: cluster}}
	if directory == "" {
		return h, nil
	}
	h.file = filepath.Join(directory, fileName)
	written, err := os.ReadFile(h.file)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	var before known
	if err == nil {
		err = json.Unmarshal(written, &before)
	}
	if err != nil {
		return nil, fmt.Errorf("read how far the cluster had come: %w; remove the file %s if you know that the cluster was not restored from a snapshot", err, h.file)
	}
	if before.Cluster == cluster {
		h.known = before
	}
	return h, nil
}

// Newest is the newest revision that was seen; empty: none was. Whoever asks the API server
// takes it before, and hands it to Passed with what came: replies overtake each other.
func (h *Horizon) Newest() string {
	if h == nil {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known.Newest
}

// Passed takes in the revision at which the API server answered a write or a consistent
// list that was asked for when before was the newest. It reports whether the cluster has
// gone back. An error says that the next process of the pod will not know.
func (h *Horizon) Passed(before, revision string) (bool, error) {
	if h == nil {
		return false, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch wentBack := isLess(revision, before); {
	case wentBack:
		if h.known.Restored == "" || h.known.Newest == before || isLess(h.known.Restored, revision) {
			h.known.Restored = revision
		}
		h.known.Newest = revision
		return true, h.write()
	case h.known.Newest == "" || isLess(h.known.Newest, revision):
		h.known.Newest = revision
		return false, h.write()
	}
	return false, nil
}

// Restored is where the cluster stood when it was last seen to have gone back; empty: it
// never was.
func (h *Horizon) Restored() string {
	if h == nil {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known.Restored
}

// Precedes reports whether an object of a resourceVersion was put back with the cluster:
// what it says may have been overtaken before.
func (h *Horizon) Precedes(version string) bool {
	if h == nil || version == "" {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known.Restored != "" && !isLess(h.known.Restored, version)
}

// write keeps what is known for the next process. The file is replaced as a whole, so that
// a kill leaves the one before.
func (h *Horizon) write() error {
	if h.file == "" {
		return nil
	}
	encoded, err := json.Marshal(h.known)
	if err == nil {
		err = os.WriteFile(h.file+".tmp", encoded, 0o600)
	}
	if err == nil {
		err = os.Rename(h.file+".tmp", h.file)
	}
	if err != nil {
		return fmt.Errorf("keep how far the cluster has come, so that the next process of this pod notices a restored snapshot: %w", err)
	}
	return nil
}

// isLess reports whether a revision is lower than another. What is no revision, empty
// among it, is not.
func isLess(revision, other string) bool {
	order, err := resourceversion.CompareResourceVersion(revision, other)
	return err == nil && order < 0
}
