// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// oidc-provider over TLS on a port of this machine, in memory. It speaks JSON, a line
// each: the first line of its input is its configuration and is answered by where it
// listens; each further line is a question. It ends with its input, so it outlives
// nobody.
//
// configuration: {cert, key, signingKey, rotates, dpopNonces}
// questions:     {register: metadata}    => {}
//                {consent: clientID, jkt} => {token}
//                {accepts: accessToken}  => {accepts}

import { createServer } from 'node:https';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { randomBytes } from 'node:crypto';
import { Provider } from 'oidc-provider';

const person = 'a person';
const scope = 'openid offline_access';

function configure(c) {
  return {
    rotateRefreshToken: c.rotates,
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    jwks: { keys: [c.signingKey] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    ttl: { AccessToken: 3600, RefreshToken: 24 * 3600, Grant: 24 * 3600, IdToken: 3600 },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => c.dpopNonces },
    },
  };
}

async function register(provider, metadata) {
  const client = new provider.Client(metadata); // it checks them
  await provider.Client.adapter.upsert(client.clientId, client.metadata());
}

// consent gives a client the refresh token that a person's consent leaves behind.
async function consent(provider, clientId, jkt) {
  const client = await provider.Client.find(clientId);
  const grant = new provider.Grant({ accountId: person, clientId });
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  return new provider.RefreshToken({ accountId: person, client, grantId, gty: 'authorization_code', scope, jkt }).save();
}

async function answer(provider, question) {
  if (question.register) return register(provider, question.register);
  if (question.consent) return { token: await consent(provider, question.consent, question.jkt) };
  return { accepts: (await provider.AccessToken.find(question.accepts)) !== undefined };
}

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const configuration = JSON.parse((await lines.next()).value);
const server = createServer({ cert: configuration.cert, key: configuration.key });
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `https://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, configure(configuration));
server.on('request', provider.callback());
say({ issuer });
for await (const line of lines) say(await answer(provider, JSON.parse(line)) ?? {});
process.exit(0);
