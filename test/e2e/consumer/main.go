// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command consumer is a workload as docs/consuming.md describes one: it reads the token
// from the mounted Secret before each call, and calls an API with it. The API counts what
// it accepts and refuses, so the program says nothing but when it starts.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	api := flag.String("api", "", "`URL` to call")
	token := flag.String("token", "/token/access_token", "`file` that holds the access token")
	every := flag.Duration("every", 200*time.Millisecond, "pause between calls")
	flag.Parse()
	fmt.Println("calling", *api)
	for ctx.Err() == nil {
		if err := call(ctx, *api, *token); err != nil && ctx.Err() == nil {
			fmt.Println(err) // the API is away; it counts as neither accepted nor refused
		}
		select {
		case <-ctx.Done():
		case <-time.After(*every):
		}
	}
}

// call reads the token anew and calls the API with it.
func call(ctx context.Context, api, token string) error {
	text, err := os.ReadFile(token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, api, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(text)))
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return reply.Body.Close()
}
