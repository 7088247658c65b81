// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package described plays a provider that is known by its description alone: the spec
// of a ClusterTokenProvider, a built-in or any other. It has one grant, rotates as the
// description says, and answers with replies that it works out from the description:
//
//   - A good reply sets the members that the response's fields name, and whatever else
//     makes success true.
//   - A refusal is the first reply found that makes a failure rule of the wanted reason
//     match, none before it, and success not.
//   - The rest is any server's: a proxy's page, a reply that is cut short, a reset, a
//     frame that is not as one would have it.
//
// So it shows that a description holds together: that each reason it knows can come about,
// and that the operator reads such a reply as the description means it. It cannot show
// that the real provider speaks like this. That is for the conversations beside the
// built-ins, which are written after the provider's own pages.
//
// It reads the description with CEL as it is, and must never import the engine, or both
// would be wrong together. An expression with one of the engine's own functions has no
// value here: what depends on it is left out of a reply.
package described
