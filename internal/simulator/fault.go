// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is what goes wrong with one call. Its parts combine: first the provider
// acts if AfterActing says so, then the fault waits, then it resets or answers.
// Where a fault leaves the reply to the provider (a wait, a BOM, a truncation)
// the provider acts in any case, after the wait unless AfterActing.
type Fault struct {
	// AfterActing lets the provider act before anything goes wrong: the refresh
	// token is spent, and the reply may be lost.
	AfterActing bool `json:"afterActing,omitempty"`

	// Delay is waited, and Until is waited for; where both are set, for the
	// earlier. A wait ends with the request and with the server too, and after
	// a quarter of an hour at the latest.
	Delay Duration        `json:"delay,omitempty"`
	Until <-chan struct{} `json:"-"`

	// Reset ends the TCP connection with a reset, HTTP/2's other streams
	// included, instead of an answer.
	Reset bool `json:"reset,omitempty"`

	// Reply is sent in place of the provider's own.
	Reply *Reply `json:"reply,omitempty"`
	// Rewrite changes the reply, the provider's own or Reply.
	Rewrite func(Reply) Reply `json:"-"`
	// Header is set on the reply, such as another Content-Type.
	Header http.Header `json:"header,omitempty"`
	// ByteOrderMark begins the body with that of UTF-8.
	ByteOrderMark bool `json:"byteOrderMark,omitempty"`

	// Truncate sends half of the body, announces the whole, and ends the
	// connection.
	Truncate bool `json:"truncate,omitempty"`
	// Drip waits this long before each byte of the body.
	Drip Duration `json:"drip,omitempty"`
	// BodySize sends so many bytes in place of a body, generated as they go.
	BodySize int64 `json:"bodySize,omitempty"`
	// Gzip compresses the body, so that a small reply may hold much.
	Gzip bool `json:"gzip,omitempty"`
	// GzipBomb sends a gzip body that expands to so many bytes.
	GzipBomb int64 `json:"gzipBomb,omitempty"`
}

// longestWait bounds every wait of a fault.
const longestWait = 15 * time.Minute

// replaces tells whether the fault makes the provider's own reply unnecessary.
func (f *Fault) replaces() bool {
	return f.Reset || f.Reply != nil || f.BodySize > 0 || f.GzipBomb > 0
}

// Match chooses calls; an empty field matches any.
type Match struct {
	Vendor   Vendor   `json:"vendor,omitempty"`
	Endpoint Endpoint `json:"endpoint,omitempty"`
	Host     string   `json:"host,omitempty"`
	Path     string   `json:"path,omitempty"`
	Grant    string   `json:"grant,omitempty"`
}

// Matches tells whether a call is among those chosen.
func (m Match) Matches(call Call) bool {
	return (m.Vendor == "" || m.Vendor == call.Vendor) &&
		(m.Endpoint == "" || m.Endpoint == call.Endpoint) &&
		(m.Host == "" || m.Host == call.Host) &&
		(m.Path == "" || m.Path == call.Path) &&
		(m.Grant == "" || m.Grant == call.Grant)
}

// faultQueue holds the faults that wait for their calls.
type faultQueue struct {
	waiting     atomic.Int64 // a call looks further only where there is any
	mu          sync.Mutex
	queued      []queuedFault
	unavailable []Match
}

type queuedFault struct {
	match     Match
	remaining int
	fault     Fault
}

// QueueFault gives the fault to the next n calls that match. Faults are given in
// the order they were queued, before Options.Faults is asked.
func (q *faultQueue) QueueFault(match Match, n int, fault Fault) {
	if n <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued = append(q.queued, queuedFault{match, n, fault})
	q.count()
}

// QueuedFaults is how many calls are still to get a queued fault.
func (q *faultQueue) QueuedFaults() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	total := 0
	for _, each := range q.queued {
		total += each.remaining
	}
	return total
}

// ClearFaults forgets the queued faults and makes everything available again.
func (q *faultQueue) ClearFaults() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued, q.unavailable = nil, nil
	q.count()
}

// SetUnavailable answers every matching call with 503, until it is set back with
// the same match. Faults that are queued come first.
func (q *faultQueue) SetUnavailable(match Match, unavailable bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unavailable = slices.DeleteFunc(q.unavailable, func(m Match) bool { return m == match })
	if unavailable {
		q.unavailable = append(q.unavailable, match)
	}
	q.count()
}

func (q *faultQueue) count() { q.waiting.Store(int64(len(q.queued) + len(q.unavailable))) }

// nextFault is the fault of a call; nil: none.
func (q *faultQueue) nextFault(options *Options, call Call) *Fault {
	if q.waiting.Load() > 0 {
		if fault := q.take(call); fault != nil {
			return fault
		}
	}
	if options.Faults != nil {
		return options.Faults(call)
	}
	return nil
}

func (q *faultQueue) take(call Call) *Fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.queued {
		if !q.queued[i].match.Matches(call) {
			continue
		}
		fault := q.queued[i].fault
		if q.queued[i].remaining--; q.queued[i].remaining == 0 {
			q.queued = slices.Delete(q.queued, i, i+1)
			q.count()
		}
		return &fault
	}
	for _, match := range q.unavailable {
		if match.Matches(call) {
			return &Fault{Reply: &Reply{Status: http.StatusServiceUnavailable,
				Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html><body>503 Service Unavailable</body></html>"}}
		}
	}
	return nil
}
