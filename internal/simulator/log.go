// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"context"
	"maps"
	"strings"
	"sync"
)

// Entry is one call with what became of it.
type Entry struct {
	Call
	// Status that was sent; 0 while the answer is undecided and where none was
	// sent.
	Status int `json:"status"`
	// Acted tells whether the provider did what was asked, or refused to, before
	// whatever a fault then did.
	Acted bool `json:"acted"`
	// Faulty tells whether a fault was injected.
	Faulty bool `json:"faulty,omitempty"`
	// Refusal says why the provider refused; empty where it did not.
	Refusal string `json:"refusal,omitempty"`
	// Done tells whether the answer is decided.
	Done bool `json:"done"`
}

// Count sums up the calls to one endpoint.
type Count struct {
	Calls   int64 `json:"calls"`
	Faulty  int64 `json:"faulty"`
	Refused int64 `json:"refused"`
	// ByStatus counts the answers; 0 stands for no answer.
	ByStatus map[int]int64 `json:"byStatus"`
}

// callLog keeps the last calls in a ring, and counts all.
type callLog struct {
	mu     sync.Mutex
	ring   []Entry // the call of serial n is at n % len
	serial int64
	counts map[string]*Count
	added  chan struct{} // closed and replaced as calls come; nil: nobody waits
}

func newCallLog(size int) *callLog {
	return &callLog{ring: make([]Entry, size), counts: map[string]*Count{}}
}

// countKey names an endpoint in the counts, such as "xiaomi/refresh".
func countKey(vendor Vendor, endpoint Endpoint) string {
	if vendor == "" {
		return string(endpoint)
	}
	return string(vendor) + "/" + string(endpoint)
}

// maxLoggedBody is the most that the log keeps of a body, in bytes.
const maxLoggedBody = 64 << 10

// forLog is the call without what would make the log grow.
func (c *Call) forLog() Call {
	kept := *c
	if len(kept.Body) > maxLoggedBody {
		kept.Body = strings.Clone(kept.Body[:maxLoggedBody])
		kept.form, kept.object = nil, nil
	}
	return kept
}

// logArrival logs a call and numbers it.
func (l *callLog) logArrival(call *Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	call.Serial = l.serial
	l.ring[l.serial%int64(len(l.ring))] = Entry{Call: call.forLog()}
	key := countKey(call.Vendor, call.Endpoint)
	if l.counts[key] == nil {
		l.counts[key] = &Count{ByStatus: map[int]int64{}}
	}
	l.counts[key].Calls++
	if l.added != nil {
		close(l.added)
		l.added = nil
	}
}

// logDecision logs what becomes of a call.
func (l *callLog) logDecision(options *Options, call Call, status int, why refusal, acted, faulty bool) {
	entry := Entry{Call: call.forLog(), Status: status, Acted: acted, Faulty: faulty, Refusal: string(why), Done: true}
	l.mu.Lock()
	if slot := &l.ring[call.Serial%int64(len(l.ring))]; slot.Serial == call.Serial {
		*slot = entry
	}
	count := l.counts[countKey(call.Vendor, call.Endpoint)]
	if count == nil { // the log was cleared meanwhile
		count = &Count{ByStatus: map[int]int64{}}
		l.counts[countKey(call.Vendor, call.Endpoint)] = count
	}
	count.ByStatus[status]++
	if faulty {
		count.Faulty++
	}
	if why != accepted {
		count.Refused++
	}
	l.mu.Unlock()
	if options.Observe != nil {
		options.Observe(entry)
	}
}

// Log returns the calls after the given serial number (0: all) that the ring
// still holds, oldest first. They hold secrets. Do not change their headers.
func (l *callLog) Log(after int64) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := max(after, l.serial-int64(len(l.ring))) + 1
	entries := make([]Entry, 0, max(l.serial-first+1, 0))
	for serial := first; serial <= l.serial; serial++ {
		if entry := l.ring[serial%int64(len(l.ring))]; entry.Serial == serial {
			entries = append(entries, entry)
		}
	}
	return entries
}

// Calls is how many calls have come, of all vendors and endpoints that match.
// Only the match's vendor and endpoint are looked at.
func (l *callLog) Calls(match Match) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls(match)
}

func (l *callLog) calls(match Match) int64 {
	asked := Match{Vendor: match.Vendor, Endpoint: match.Endpoint}
	var total int64
	for _, vendor := range append([]Vendor{""}, vendors...) {
		for _, endpoint := range []Endpoint{Refresh, Login, Other} {
			count := l.counts[countKey(vendor, endpoint)]
			if count != nil && asked.Matches(Call{Vendor: vendor, Endpoint: endpoint}) {
				total += count.Calls
			}
		}
	}
	return total
}

// AwaitCalls waits until at least n calls that match have come, as Calls counts
// them. The error is the context's.
func (l *callLog) AwaitCalls(ctx context.Context, match Match, n int64) error {
	for {
		l.mu.Lock()
		if l.calls(match) >= n {
			l.mu.Unlock()
			return nil
		}
		if l.added == nil {
			l.added = make(chan struct{})
		}
		added := l.added
		l.mu.Unlock()
		select {
		case <-added:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Counts sums up the calls by endpoint, such as "xiaomi/refresh"; a call to
// nothing known is under "other".
func (l *callLog) Counts() map[string]Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make(map[string]Count, len(l.counts))
	for key, count := range l.counts {
		copied := *count
		copied.ByStatus = maps.Clone(count.ByStatus)
		counts[key] = copied
	}
	return counts
}

// ClearLog forgets the calls and their counts; serial numbers go on.
func (l *callLog) ClearLog() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.ring)
	clear(l.counts)
}
