// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package notify sends a message to an admin's webhook when a person must act on a
// credential, and when nobody must any more. The message is a CloudEvent (CloudEvents 1.0,
// structured JSON over HTTP), signed as Standard Webhooks describes
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
//
// It is told of statuses that were written, and never waits: messages are sent behind, one
// for each credential at a time, and tried again with a backoff. Of several transitions of one
// credential that wait, the last one is sent. So a receiver that is slow or away costs some
// memory and nothing else.
//
// A message holds what the status says, and so nothing of a secret. The package knows no
// Kubernetes client, and where it may call is egress' judgement.
package notify
