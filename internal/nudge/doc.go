// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nudge has the pods that mount a target see a new token within seconds. A kubelet
// looks at a pod's volumes once in a minute or so, and at once when the pod changes: so an
// annotation is set on each pod that mounts the target, once for each token. That restarts
// nothing (ADR 39).
//
// Nudges are made behind the tokens, in a lane of their own that is bounded, fair by
// namespace, and gathers what is published together. A nudge that fails costs the token
// nothing: the kubelet comes by itself.
//
// What is known of pods is asked for when a token was published, and nothing is kept. The
// package touches no pod of another namespace than the target's, and of a pod nothing but
// that annotation.
package nudge
