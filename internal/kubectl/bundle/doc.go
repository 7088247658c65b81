// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bundle gathers what a bug report needs: credentials, providers, the operator's
// Deployment and log, events, and of Secrets their names, keys and sizes.
//
// No value of a Secret and no value of an environment variable goes into it.
package bundle
