// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
)

// send sends a message once. Retry is whether sending it again may help. The error holds
// neither the URL's path nor anything that the receiver said.
func (n *Notifier) send(ctx context.Context, event cloudEvent) (retry bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	keys, err := keys(n.options.KeyFile)
	if err != nil {
		return true, err
	}
	body := event.body()
	request, err := request(ctx, n.options.URL, body)
	if err != nil {
		return false, errors.New("the request cannot be made")
	}
	at := n.options.Clock.Now()
	request.Header.Set("Webhook-Id", event.ID)
	request.Header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	request.Header.Set("Webhook-Signature", signature(keys, event.ID, at, body))
	reply, err := n.options.Egress.Do(request, false)
	if reply == nil || reply.Status == 0 {
		return true, err
	}
	return judge(reply.Status)
}

// judge says what a receiver's status means: it has taken the message, may take it later,
// or never will. Unauthorized and the like may be the receiver's settings, which are mended.
func judge(status int) (retry bool, _ error) {
	switch {
	case status >= 200 && status < 300:
		return false, nil
	case status >= 300 && status < 400:
		return true, fmt.Errorf("the receiver answered %d, and redirects are not followed: write the URL that it leads to", status)
	}
	switch status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusGone, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return false, fmt.Errorf("the receiver answered %d", status)
	}
	return true, fmt.Errorf("the receiver answered %d", status)
}

// request is a message on its way, in the structured mode of CloudEvents' HTTP binding
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md).
func request(ctx context.Context, url string, body []byte) (*egress.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	request.Header.Set("User-Agent", "tokenkeeper")
	return request, nil
}
