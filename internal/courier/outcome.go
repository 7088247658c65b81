// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/sealed"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// header is an HTTP header whose values go through JSON byte for byte, UTF-8 or not, and
// whose names stay spelled as they are.
type header map[string][][]byte

func headerOf(from http.Header) header {
	to := make(header, len(from))
	for name, values := range from {
		for _, value := range values {
			to[name] = append(to[name], []byte(value))
		}
	}
	return to
}

func (h header) http() http.Header {
	to := make(http.Header, len(h))
	for name, values := range h {
		for _, value := range values {
			to[name] = append(to[name], string(value))
		}
	}
	return to
}

// outcome is an Outcome as it is sealed, or crosses the socket for a call without an
// attempt. A field that a version does not know is ignored.
type outcome struct {
	Reply   *reply          `json:"reply,omitempty"`
	Failure *egress.Failure `json:"failure,omitempty"`
	Note    []byte          `json:"note,omitempty"`
}

type reply struct {
	Status   int    `json:"status"`
	Header   header `json:"header,omitempty"`
	Body     []byte `json:"body,omitempty"`
	CutShort bool   `json:"cutShort,omitempty"`
	Flaw     string `json:"flaw,omitempty"`
}

func outcomeOf(came *egress.Reply, failure error, note []byte) outcome {
	o := outcome{Failure: egress.FailureOf(failure), Note: note}
	if came != nil {
		o.Reply = &reply{Status: came.Status, Header: headerOf(came.Header), Body: came.Body, CutShort: came.CutShort, Flaw: came.Flaw}
	}
	return o
}

func (o outcome) exported() Outcome {
	out := Outcome{Failure: o.Failure.Err(), Note: o.Note}
	if r := o.Reply; r != nil {
		out.Reply = &egress.Reply{Status: r.Status, Header: r.Header.http(), Body: r.Body, CutShort: r.CutShort, Flaw: r.Flaw}
	}
	if out.Reply == nil && out.Failure == nil {
		out.Failure = egress.Unanswered("what the courier says of the exchange cannot be read; the request may have been acted on")
	}
	return out
}

// seal closes an outcome for all but who has the key.
func seal(key secret.Text, o outcome) ([]byte, error) {
	plain, err := json.Marshal(o)
	if err != nil {
		return nil, errors.New("the reply cannot be written down")
	}
	return sealed.Seal(key, plain)
}

func open(key secret.Text, content []byte) (Outcome, bool) {
	plain, opened := sealed.Open(key, content)
	var o outcome
	if !opened || json.Unmarshal(plain, &o) != nil {
		return Outcome{}, false
	}
	return o.exported(), true
}
