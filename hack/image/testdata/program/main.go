// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command program stands in for the manager, which takes minutes to build.
package main

func main() { println("hello") }
