// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package simulator stands in for the providers: MCS, Xiaomi, Oracle Commerce
// (store and admin) and an OAuth 2.0 server, with real rotation, over TLS on
// loopback. The demo, the tests, the fault tests and the benchmark run against
// it. It is a reading of the providers' documents of its own and must never
// import the engine, or both would be wrong together.
//
//	s := simulator.New(simulator.DemoOptions(30 * simulator.Second))
//	_, err := s.Add(simulator.Demo())   // or apps, users and grants of your own
//	server, err := s.Start("")          // server.CAPEM(), server.Resolve(), server.Close()
//	s.QueueFault(simulator.Match{Vendor: simulator.Xiaomi}, 1,
//		simulator.Fault{AfterActing: true, Reset: true}) // rotated, and the reply is lost
//	state, found := s.Grant(simulator.DemoXiaomiGrant) // current token, refreshes, reuses, history
//
// # The providers
//
// One listener serves all. The path tells them apart; /oauth2/token is Xiaomi's
// on its own host, and elsewhere for GET, else the OAuth server's:
//
//	POST /oauth/login/thirdparty[/refresh]  MCS; thirdpart too
//	GET  /oauth2/token                      Xiaomi
//	POST /ccstore/v1/login, .../refresh     Oracle Commerce, store
//	POST /ccadmin/v1/login, .../refresh     Oracle Commerce, admin
//	POST /token, /oauth/token, ...          OAuth 2.0, see OAuthOptions.Paths
//
// Credentials are checked byte for byte. What the documents leave open is a
// switch in Options. Nothing fails at random: a fault happens where it is
// queued, or where Options.Faults returns one.
//
// A grant is a family of refresh tokens. A refresh may bring another token, and
// in the mode SingleUse it then spends the older one. A spent token is refused
// and counted as a reuse, and may revoke the whole grant; within the reuse
// window the last spent token works again, and brings a token that takes the
// place of the one before. With Never, or in between with Sometimes, the token
// stays current and is not spent.
//
// # The control interface
//
// Under /_simulator/ on every host, JSON, without authentication and with
// secrets in clear: it belongs on loopback. A wrong request is a 400 with
// {"error":...}. Durations are text, such as "5s".
//
//	POST   seed            {"apps":[],"users":[],"grants":[]} as in Seed; gives the grants with their tokens
//	GET    grants          every grant, without history
//	GET    grants/{id}     one, with the history of its refresh tokens
//	DELETE grants/{id}     revokes it
//	POST   introspect      {"token":"..."}: {"known":,"active":,"current":,"grant":}
//	GET    log?after=N     the calls after serial number N; DELETE forgets calls and counts
//	GET    counts          {"calls":{"xiaomi/refresh":{...}},"totals":{"refreshes":,"reuses":,...}}
//	GET    options         the switches; PATCH sets those named: {"xiaomi":{"prefix":"None"}}
//	GET    faults          {"queued":N}; DELETE forgets faults and unavailability
//	POST   faults          {"match":{"vendor":"xiaomi","endpoint":"refresh"},"next":1,"fault":{"afterActing":true,"reset":true}}
//	PUT    unavailable     {"match":{"vendor":"mcs"},"unavailable":true}
//
// # Limits
//
// Everything is in memory. The log keeps the last Options.LogSize calls, and 64 KiB of a body; a grant
// remembers its last Options.HistorySize refresh tokens, and takes older ones
// for unknown; grants that logins began are forgotten once all their tokens
// have expired. A request's body is read up to 1 MiB. There is no rate limit:
// queue 429s instead.
package simulator
