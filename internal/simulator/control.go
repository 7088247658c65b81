// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

const controlPrefix = "/_simulator/"

// maxControlBody bounds a seed: room for some hundred thousand grants, in bytes.
const maxControlBody = 64 << 20

// faultRequest queues a fault for the next n calls that match; n defaults to 1.
type faultRequest struct {
	Match Match `json:"match"`
	Next  int   `json:"next"`
	Fault Fault `json:"fault"`
}

// unavailableRequest makes matching calls fail, or work again.
type unavailableRequest struct {
	Match       Match `json:"match"`
	Unavailable bool  `json:"unavailable"`
}

// controls are the control interface; see the package comment.
type controls struct{ *Simulator }

// serve serves the control interface; see the package comment.
func (c controls) serve(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	handle := func(pattern string, serve func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { writeControl(w, r, serve) })
	}
	handle("POST "+controlPrefix+"seed", c.seed)
	handle("GET "+controlPrefix+"grants", func(*http.Request) (any, error) { return c.Grants(), nil })
	handle("GET "+controlPrefix+"grants/{id}", func(r *http.Request) (any, error) {
		state, found := c.Grant(r.PathValue("id"))
		return state, unless(found)
	})
	handle("DELETE "+controlPrefix+"grants/{id}", func(r *http.Request) (any, error) {
		return nil, unless(c.Revoke(r.PathValue("id")))
	})
	handle("POST "+controlPrefix+"introspect", c.introspect)
	handle("GET "+controlPrefix+"log", func(r *http.Request) (any, error) {
		after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
		return c.Log(after), nil
	})
	handle("DELETE "+controlPrefix+"log", func(*http.Request) (any, error) { c.ClearLog(); return nil, nil })
	handle("GET "+controlPrefix+"counts", func(*http.Request) (any, error) {
		return map[string]any{"calls": c.Counts(), "totals": c.Totals()}, nil
	})
	handle("GET "+controlPrefix+"options", func(*http.Request) (any, error) { return c.Options(), nil })
	handle("PATCH "+controlPrefix+"options", c.change)
	handle("GET "+controlPrefix+"faults", func(*http.Request) (any, error) {
		return map[string]int{"queued": c.QueuedFaults()}, nil
	})
	handle("POST "+controlPrefix+"faults", c.fault)
	handle("DELETE "+controlPrefix+"faults", func(*http.Request) (any, error) { c.ClearFaults(); return nil, nil })
	handle("PUT "+controlPrefix+"unavailable", c.unavailable)
	mux.ServeHTTP(w, r)
}

func (c controls) seed(r *http.Request) (any, error) {
	var seed Seed
	if err := readControl(r, &seed); err != nil {
		return nil, err
	}
	return c.Add(seed)
}

// introspect tells of a token what RFC 7662 would, and its grant.
func (c controls) introspect(r *http.Request) (any, error) {
	var query struct {
		Token string `json:"token"`
	}
	if err := readControl(r, &query); err != nil {
		return nil, err
	}
	state, known := c.GrantOf(query.Token)
	return map[string]any{"known": known, "active": c.AccessTokenValid(query.Token),
		"current": known && state.Current == query.Token, "grant": state.ID}, nil
}

// change changes the switches that the request names.
func (c controls) change(r *http.Request) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxControlBody))
	if err != nil {
		return nil, err
	}
	c.Configure(func(options *Options) {
		changed := *options
		if err = decodeControl(body, &changed); err == nil {
			*options = changed
		}
	})
	return c.Options(), err
}

func (c controls) fault(r *http.Request) (any, error) {
	request := faultRequest{Next: 1}
	if err := readControl(r, &request); err != nil {
		return nil, err
	}
	c.QueueFault(request.Match, request.Next, request.Fault)
	return map[string]int{"queued": c.QueuedFaults()}, nil
}

func (c controls) unavailable(r *http.Request) (any, error) {
	var request unavailableRequest
	if err := readControl(r, &request); err != nil {
		return nil, err
	}
	c.SetUnavailable(request.Match, request.Unavailable)
	return request, nil
}

var errNotFound = errors.New("not found")

func unless(found bool) error {
	if found {
		return nil
	}
	return errNotFound
}

func readControl(r *http.Request, into any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxControlBody))
	if err != nil {
		return err
	}
	return decodeControl(body, into)
}

func writeControl(w http.ResponseWriter, r *http.Request, serve func(*http.Request) (any, error)) {
	result, err := serve(r)
	status := http.StatusOK
	switch {
	case errors.Is(err, errNotFound):
		status, result = http.StatusNotFound, map[string]string{"error": "no such grant"}
	case err != nil:
		status, result = http.StatusBadRequest, map[string]string{"error": err.Error()}
	case result == nil:
		result = struct{}{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(result)
}

// decodeControl refuses what it does not know, so that a typo is not silence.
func decodeControl(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the request does not read: %w", err)
	}
	return nil
}
