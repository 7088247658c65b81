#!/usr/bin/env bash
# Copyright The TokenKeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz target of the module for FUZZTIME, one after another, and prints
# of each how many inputs it tried and how many its corpus holds (those of the
# repository and those that it found itself, in Go's cache). Goes on after a
# failure, and fails at the end. FUZZ is a pattern that narrows which. Run it by
# `make fuzz`.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${FUZZTIME:-30s}
only=${FUZZ:-.}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0 found=0

while IFS=: read -r file name; do
  package=./$(dirname "$file")
  found=$((found + 1))
  printf '%-34s %-32s ' "${package#./}" "$name"
  if go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -timeout 0 "$package" >"$log" 2>&1; then
    # The last line of progress: "fuzz: elapsed: 3s, execs: 12 (4/sec), new interesting: 1 (total: 9)"
    sed -nE 's/^fuzz: elapsed: .*execs: ([0-9]+) .*\(total: ([0-9]+)\).*/\1 executions, corpus of \2/p' "$log" | tail -n 1 | grep . || echo "no executions reported"
  else
    echo "FAILED"
    sed 's/^/    /' "$log"
    failed=1
  fi
done < <(grep -rEo --include='*_test.go' --exclude-dir=bin --exclude-dir=tools '^func Fuzz[A-Za-z0-9_]*' internal cmd api test hack | sed 's/:func /:/' | grep -E "$only" | sort)

if [ $found = 0 ]; then
  echo "no fuzz target matches FUZZ=$only" >&2
  exit 1
fi
exit $failed
