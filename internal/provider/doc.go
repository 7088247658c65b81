// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package provider is the engine: it has the compiled description of a provider (package
// compile makes it), builds the requests that it asks for, and reads the replies.
//
//	spec --compile.Provider--> Provider
//	                              |
//	                            Begin
//	                              |
//	                           Exchange --Request--> what is sent
//	                              |
//	                              +--Read<-- what came back --> Outcome
//
// It decides, and does nothing: it opens no connection, has no clock and no
// Kubernetes client, and knows no provider by name. What it is given and what it
// gives back are values; a Provider is read-only once compiled.
//
// A reply may be anything. Read never panics and never fails, reads the tokens of
// a reply whatever else is wrong with it, and says OutcomeUnknown where nothing
// proves what became of the request. Secrets leave the package in the request
// and in secret.Text alone.
package provider
