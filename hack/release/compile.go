// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "context"

func compile(ctx context.Context, p plan, program string, on platform) ([]byte, error) {
	return nil, nil
}

func billOf(p plan, name string, on platform, content []byte) ([]byte, error) { return nil, nil }
