#!/usr/bin/env bash
# Copyright The TokenKeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Checks that what is generated, formatted or derived is up to date. It changes
# nothing in the checkout: files are generated in a copy, and compared. Run it by
# `make verify`, which builds the tools first.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
# check runs one check; what it prints is shown only if it fails.
check() {
  local name=$1 advice=$2 found
  shift 2
  if found=$("$@" 2>&1); then
    echo "  ok    $name"
  else
    echo "  FAIL  $name: $advice"
    sed 's/^/        /' <<<"$found"
    failed=1
  fi
}

# files lists what is, or is about to be, in the repository.
files() { git ls-files --cached --others --exclude-standard "$@" | while read -r file; do if [ -e "$file" ]; then echo "$file"; fi; done; }

# generated_in are the folders that hold generated files.
generated_in=(api charts config dist docs)

generated() {
  local copy folder status=0
  copy=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder's name is wanted as it is now
  trap "rm -rf '$copy'" RETURN
  files | tar -cf - -T - | tar -xf - -C "$copy"
  make -s -C "$copy" BIN="$PWD/bin" generate manifests build-installer api-docs reliability-docs chart cli-docs provider-docs || return 1
  for folder in "${generated_in[@]}"; do
    diff -ruN --exclude='*.tar' "$folder" "$copy/$folder" || status=1
  done
  return $status
}

formatted() {
  local wrong
  wrong=$(files '*.go' | xargs gofmt -l)
  echo "$wrong"
  [ -z "$wrong" ]
}

headers() {
  local file status=0
  while read -r file; do
    if ! head -c "$(wc -c <hack/boilerplate.go.txt)" "$file" | cmp -s - hack/boilerplate.go.txt; then
      echo "$file"
      status=1
    fi
  done < <(files '*.go' | grep -v zz_generated)
  return $status
}

tidy() {
  local module status=0
  for module in . hack/image hack/release test/alerts test/chart test/consumers test/e2e test/gitops test/oauth tools tools/golangci-lint tools/govulncheck; do
    go -C "$module" mod tidy -diff || status=1
  done
  return $status
}

echo "Verifying ..."
check "generated files" "run 'make generate manifests build-installer api-docs reliability-docs chart cli-docs provider-docs' and commit the result" generated
check "gofmt" "run 'make fmt'" formatted
check "licence headers" "begin these files with hack/boilerplate.go.txt" headers
check "go.mod and go.sum" "run 'go mod tidy' in the module" tidy
exit $failed
