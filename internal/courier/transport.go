// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// unread is an error of a message that the courier has not taken in.
type unread struct{ error }

// Unwrap gives the cause.
func (u unread) Unwrap() error { return u.error }

// dial connects to a socket, and makes sure that nobody else has put it there.
func dial(ctx context.Context, path string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: answerTimeout}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, unread{err}
	}
	if err := checkPeer(conn); err != nil {
		return nil, unread{errors.Join(err, conn.Close())}
	}
	return conn, nil
}

// greet finds out who is there.
func (r *Remote) greet(ctx context.Context) (hello, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://courier"+helloPath, nil)
	if err != nil {
		return hello{}, err
	}
	var met hello
	_, err = r.roundTrip(request, &met)
	if err == nil && !met.speaks() {
		err = anotherProtocol(met)
	}
	if err == nil {
		r.meet(met.Instance)
	}
	return met, err
}

func (r *Remote) meet(instance string) {
	if instance != r.Instance() {
		r.instance.Store(&instance)
	}
}

// post sends a message and reads its answer.
func (r *Remote) post(ctx context.Context, timeout time.Duration, path string, message any) (result, error) {
	content, err := json.Marshal(message)
	if err != nil {
		return result{}, unread{errors.New("the message cannot be written down")}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://courier"+path, bytes.NewReader(content))
	if err != nil {
		return result{}, unread{err}
	}
	var came result
	status, err := r.roundTrip(request, &came)
	switch {
	case err == nil:
		r.meet(came.Instance)
	case status == http.StatusNotFound: // another version
		_, greeted := r.greet(ctx)
		err = unread{cmp.Or(greeted, err)}
	case status != 0 && status != http.StatusOK:
		err = unread{err}
	}
	return came, err
}

func (r *Remote) roundTrip(request *http.Request, into any) (status int, err error) {
	response, err := r.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxMessage))
	if err != nil {
		return response.StatusCode, err
	}
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, fmt.Errorf("the courier answered %d", response.StatusCode)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return response.StatusCode, errors.New("the courier's answer cannot be read")
	}
	return response.StatusCode, nil
}

// reason is what went wrong with a socket, without what net/http puts before it.
func reason(err error) string {
	var operation *net.OpError
	if errors.As(err, &operation) {
		return operation.Err.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}
