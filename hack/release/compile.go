// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/tokenkeeper/tokenkeeper/hack/image/program"
)

// compile builds one of the commands for a platform.
func compile(ctx context.Context, p plan, command string, on platform) ([]byte, error) {
	built, err := program.Source{Folder: p.source, Package: command, Version: p.version}.Compile(ctx, on.system, on.architecture)
	if err != nil {
		return nil, err
	}
	return built.Bytes, nil
}

// billOf is the bill of materials of a program.
func billOf(p plan, name string, on platform, content []byte) ([]byte, error) {
	read, err := program.Read(content)
	if err != nil {
		return nil, err
	}
	return read.Bill(program.About{Name: name, Version: p.version, Platform: on.String(), Created: p.created, Tool: "tokenkeeper-release"})
}
