// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package sealed

import "sync"

const (
	// Capacity is how much a directory holds, in bytes: the sizeLimit of its volume, which
	// counts against the memory of the pod, less a MiB for what this process does not
	// count, such as a file that is being replaced.
	Capacity = 15 << 20

	// largest is what a reply may take at most, in bytes: its tokens and outputs within
	// their bounds, or the reply itself within its own, in base64 and JSON. No exchange
	// starts for which there is not so much.
	largest = 512 << 10
)

// shares divides a directory among namespaces: one may fill half of what the others leave,
// so that there is always room for one more.
type shares struct {
	mu         sync.Mutex
	files      map[string]file // by name
	namespaces map[string]int  // bytes
	total      int
}

type file struct {
	namespace string
	size      int
}

// room reports whether a namespace may add so much.
func (s *shares) room(namespace string, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fits(namespace, size)
}

func (s *shares) fits(namespace string, size int) bool {
	own := s.namespaces[namespace]
	return own+size <= (Capacity-(s.total-own))/2
}

// page is the unit in which a volume in memory takes room.
const page = 4 << 10

// add counts a file, and reports whether there is room for it. What an earlier process
// has left is of no namespace: there is always room for that.
func (s *shares) add(name, namespace string, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	size = (size + page - 1) / page * page
	s.remove(name)
	if namespace != "" && !s.fits(namespace, size) {
		return false
	}
	if s.files == nil {
		s.files, s.namespaces = map[string]file{}, map[string]int{}
	}
	s.files[name] = file{namespace, size}
	s.namespaces[namespace] += size
	s.total += size
	return true
}

// left are the names whose files an earlier process has left.
func (s *shares) left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, known := range s.files {
		if known.namespace == "" {
			names = append(names, name)
		}
	}
	return names
}

func (s *shares) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(name)
}

func (s *shares) remove(name string) {
	known, ok := s.files[name]
	if !ok {
		return
	}
	delete(s.files, name)
	s.total -= known.size
	if s.namespaces[known.namespace] -= known.size; s.namespaces[known.namespace] == 0 {
		delete(s.namespaces, known.namespace)
	}
}
