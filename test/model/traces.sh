#!/usr/bin/env bash
# Copyright The TokenKeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Plays histories of the real reconciler, and has spin look whether the model can do what
# each of them did: which writes of the state, and which sends, by whom, in which order.
# It fails where the model cannot: then one of the two is wrong.
#
#   traces.sh [HISTORIES]   for each kind of provider and of pods: 400 unless said otherwise
set -euo pipefail
cd "$(dirname "$0")"
out=$(realpath -m "${MODEL_OUT:-../../bin/model}/traces")
failed=0

# follow VARIANT DEFINE...: the histories of a kind of provider, in the model's world of it: its
# defines, and last what the pods have.
follow() {
  local variant=$1 pods='' count followed
  shift
  case " $* " in
  *' COURIER SPOOL '*) pods=courier-spool ;;
  *' COURIER '*) pods=courier ;;
  *' SPOOL '*) pods=spool ;;
  esac
  local name=$variant${pods:+-$pods}
  local dir=$out/$name
  mkdir -p "$dir"
  TRACES=$dir/traces TRACES_OF=$variant TRACES_WITH=$pods go test ../history -count=1 -run '^TestTracesForTheModel$' -rapid.checks="$histories" -rapid.nofailfile >"$dir/history.log" ||
    { cat "$dir/history.log" >&2; exit 2; }
  count=$(wc -l <"$dir/traces")
  echo "$impossible" >>"$dir/traces"
  sed 's/$/,/' "$dir/traces" >"$dir/events.h"
  awk 'BEGIN {print "0,"} {sum += gsub(/\{/, ""); print sum ","}' "$dir/traces" >"$dir/begins.h"
  cp rotation.pml "$dir"
  (
    cd "$dir"
    spin -a "-DTRACE=$((count + 1))" -DROUNDS=20 -DTOKENS=16 -DSAMES=30 "${@/#/-D}" rotation.pml >spin.log || { cat spin.log >&2; exit 2; }
    "${CC:-gcc}" -O2 -w -DCOLLAPSE -DNOREDUCE -DMEMLIM="${MODEL_MEMORY:-3000}" -I. -o pan pan.c
    ./pan -m100000 -n -w22 -E -A >pan.log 2>&1 || true
  )
  if grep -qx "FOLLOWED $count" "$dir/pan.log"; then
    echo "$name: the model sends a token that nobody has claimed: it follows anything" >&2
    exit 2
  fi
  followed=$(grep -c '^FOLLOWED' "$dir/pan.log" || true)
  printf '%-31s %4d of %4d traces followed, %s states\n' "$name" "$followed" "$count" "$(awk '/states, stored/ {print $1}' "$dir/pan.log")"
  if [[ $followed != "$count" ]]; then
    failed=1
    grep -i 'max search depth\|memlim\|error' "$dir/pan.log" | head -3
    echo "  the model cannot do what these did (who, token, claimed, by; see rotation.pml):"
    awk 'NR == FNR {if ($1 == "FOLLOWED") done[$2] = 1; next} !((FNR - 1) in done) {print "  " $0}' "$dir/pan.log" <(head -n -1 "$dir/traces") | head -5
  fi
}

# impossible is no trace of any history: a token is sent that nobody has claimed.
impossible='{2, 0, 1, 0, 0}'
histories=${1:-400}
for with in '' SPOOL COURIER 'COURIER SPOOL'; do
  for world in hold 'hold-revokes REVOKES' 'retry RETRY' 'window WINDOW' 'auto-now-and-then AUTO'; do
    follow $world $with
  done
done
exit $failed
