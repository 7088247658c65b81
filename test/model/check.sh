#!/usr/bin/env bash
# Copyright The TokenKeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Checks every variant of rotation.pml to the end, and says which hold and which
# are violated. It fails where one is not as expected.
#
#   check.sh             all variants
#   check.sh NAME        one; tells its counterexample in words
set -euo pipefail
cd "$(dirname "$0")"
out=${MODEL_OUT:-../../bin/model}
memory=${MODEL_MEMORY:-3000} # MiB that one variant may use

# name | expected | defines | what it is
variants() {
  cat <<'TABLE'
# The protocol, in the worlds that it is made for.
hold | holds | FAULTS=4 | Hold, no reuse window
hold-revokes | holds | FAULTS=4 REVOKES | the same, reuse revokes the family
hold-spool | holds | FAULTS=4 SPOOL | the same, with a spool
hold-gap | holds | FAULTS=3 SENDGAP | Hold, and the freeze may fall between the fence and the first byte
hold-late | holds | FAULTS=3 LATE | Hold, and the provider may act on a request of long ago
retry | holds | FAULTS=3 RETRY | RetryOnce, the provider refuses a spent token
retry-spool | holds | FAULTS=2 RETRY SPOOL | the same, with a spool
retry-late | holds | FAULTS=2 RETRY LATE | the same, and the provider may act on a request of long ago
window | holds | FAULTS=2 WINDOW | Hold, with a reuse window
window-spool | holds | FAULTS=2 WINDOW REVOKES SPOOL | the same, reuse outside the window revokes, with a spool
window-retry | holds | FAULTS=2 WINDOW RETRY | RetryOnce, with a reuse window
window-late | holds | FAULTS=1 WINDOW SAME_SUCCESSOR LATE | a window, and a late request, where reuse brings the same successor again
auto | holds | FAULTS=3 AUTO | Auto with Hold: a server that gives another token now and then, or begins to after years
auto-revokes | holds | FAULTS=4 AUTO ALONE REVOKES | the same with one process at a time, reuse revokes the family
auto-spool | holds | FAULTS=2 AUTO SPOOL | the same, with a spool
auto-retry | holds | FAULTS=1 AUTO RETRY | Auto with RetryOnce
auto-window | holds | FAULTS=1 AUTO WINDOW SAME_SUCCESSOR SAMES=2 | Auto with a reuse window, in which the same successor comes again
courier | holds | FAULTS=3 COURIER | Hold, with a courier that may die, alone or with its operator, or not answer
courier-spool | holds | FAULTS=3 COURIER SPOOL | the same, and what it has sealed is found by the next one
courier-retry | holds | FAULTS=1 COURIER RETRY | the same with RetryOnce
courier-window | holds | FAULTS=1 COURIER WINDOW SAME_SUCCESSOR | the same with a reuse window
# The model has teeth: each of these parts is needed.
no-claim | violated | FAULTS=2 NO_CLAIM | nothing is claimed
commit-last | violated | FAULTS=2 COMMIT_LAST | the target is published before the commit
no-fence | violated | FAULTS=2 NO_FENCE RETRY | a claim of long ago is sent
resend-always | violated | FAULTS=2 RESEND_ALWAYS | recovery sends again whatever it finds
resend-often | violated | FAULTS=2 RESEND_ALWAYS RETRY | the same, where one retry would be allowed
withdraw-any | violated | FAULTS=2 WITHDRAW_ANY | a withdrawal removes another's claim
commit-clears | violated | FAULTS=2 COMMIT_CLEARS_ANY WINDOW | a commit removes another's claim
doubt-forgotten | violated | FAULTS=2 DOUBT_FORGOTTEN RETRY | a retry that did not take place clears the token
doubt-window | violated | FAULTS=2 DOUBT_FORGOTTEN WINDOW | the same, with a window and Hold
loss-in-status | violated | FAULTS=2 LOSS_IN_STATUS RETRY | that a token is lost is written to the status alone
window-once | violated | FAULTS=2 WINDOW_SEEN_ONCE WINDOW | the window is not looked at again at the fence
stall-in-status | violated | FAULTS=2 STALL_IN_STATUS | a stall outlasts the attempt that it was about
proof-of-any | violated | FAULTS=1 ROUNDS=3 AUTO PROOF_OF_ANY | a proof counts for every later token
refusal-unwritten | violated | FAULTS=2 AUTO REFUSAL_UNWRITTEN | that a proven token is refused is told without a look at the state
never-of-any | violated | FAULTS=2 COURIER NEVER_OF_ANY | any courier's "never received" counts
never-of-next | violated | FAULTS=2 COURIER NEVER_OF_ANOTHER_LIFE | a courier that was restarted says "never received"
# Limits, known and documented in README.md.
gap-retry | violated | FAULTS=2 SENDGAP RETRY | frozen between the fence and the first byte, with RetryOnce
gap-window | violated | FAULTS=2 SENDGAP WINDOW | the same, with a reuse window
late-window | violated | FAULTS=2 WINDOW LATE | a window whose reuse voids the first successor, and a late request
retry-revokes | violated | FAULTS=2 RETRY REVOKES | RetryOnce where reuse revokes the family
auto-two-revoke | violated | FAULTS=2 AUTO REVOKES | Auto with two leaders as a server begins to rotate, where reuse revokes the family
auto-two-void | violated | FAULTS=2 AUTO WINDOW SAMES=2 | the same with a window whose reuse voids the first successor
TABLE
}

for tool in spin "${CC:-gcc}"; do
  command -v "$tool" >/dev/null || {
    echo "$tool is not installed. The model needs spin and a C compiler:" >&2
    echo "  Debian, Ubuntu: apt-get install spin gcc    Homebrew: brew install spin" >&2
    exit 2
  }
done

# check runs one variant and leaves its verdict, states and seconds.
check() {
  local name=$1 expected=$2 dir=$out/$1
  read -ra defines <<<"$3"
  flags=("${defines[@]/#/-D}")
  mkdir -p "$dir"
  cp rotation.pml "$dir"
  rm -f "$dir/rotation.pml.trail"
  # Breadth first where a counterexample is expected: it is then a shortest one.
  local search=()
  if [[ $expected == violated ]]; then search=(-DBFS); fi
  local started=$SECONDS
  (
    cd "$dir"
    spin -a "${flags[@]}" rotation.pml >spin.log || { cat spin.log >&2; exit 2; }
    "${CC:-gcc}" -O2 -w -DSAFETY -DCOLLAPSE -DNOREDUCE -DMEMLIM="$memory" "${search[@]}" -o pan pan.c
    ./pan -m100000 -n -w20 >pan.log 2>&1 || true
  )
  seconds=$((SECONDS - started))
  states=$(awk '/states, stored/ {print $1}' "$dir/pan.log")
  if grep -q 'errors: [1-9]' "$dir/pan.log"; then
    verdict="violated: $(broken "$dir/pan.log")"
  elif grep -q 'errors: 0' "$dir/pan.log" && ! grep -qi 'not completed\|depth too small\|memlim' "$dir/pan.log"; then
    verdict=holds
  else
    verdict=unfinished
  fi
}

# broken names the part of the invariant that an error is about.
broken() {
  local error
  error=$(grep -m1 '^pan:1:' "$1")
  case $error in
  *'violated 0 '*) echo "lost in silence" ;;
  *'resends['*) echo "sent a third time" ;;
  *'sent[me]'*) echo "a spent token is sent" ;;
  *'target<=kept'*) echo "published, never saved" ;;
  *'told=='*) echo "at rest, and the condition is wrong" ;;
  *) echo "the model itself is wrong (${error#pan:1: })" ;;
  esac
}

# story tells a counterexample in words.
story() {
  [[ -f $out/$1/rotation.pml.trail ]] || return 0
  (cd "$out/$1" && spin -t "${flags[@]}" rotation.pml) |
    awk '/^spin: trail/ {next} {sub(/^ +/, ""); print} /assertion violated/ {exit}'
}

failed=0 found=0
while IFS='|' read -r name expected defines what; do
  if [[ $name == '#'* ]]; then
    if [[ -z ${1:-} ]]; then printf '\n%s\n' "${name#\# }"; fi
    continue
  fi
  name=${name// /} expected=${expected// /}
  if [[ -n ${1:-} && $1 != "$name" ]]; then continue; fi
  found=1
  check "$name" "$expected" "$defines"
  printf '%-16s %-10s %8s states %3d s  %s\n' "$name" "${verdict%%:*}" "$states" "$seconds" "${what# }${verdict#"${verdict%%:*}"}"
  if [[ -n ${1:-} ]]; then story "$name"; fi
  if [[ ${verdict%%:*} != "$expected" || $verdict == *'model itself'* ]]; then
    failed=1
    echo "  NOT AS EXPECTED: it should be \"$expected\"; see $out/$name/pan.log, or run test/model/check.sh $name"
  fi
done < <(variants)

if [[ $found == 0 ]]; then
  echo "there is no variant \"$1\"" >&2
  exit 2
fi
exit $failed
