// Verify access tokens with what others wrote: node verify.mjs ISSUER AUDIENCE
//
// Reads tokens from standard input, one a line, and answers each with one line of JSON. All of them are verified in one
// process, because a service too keeps its keys in memory while the issuer rotates them.

import { createInterface } from "node:readline";
import { JwtVerifier } from "aws-jwt-verify";
import { SimpleJwksCache } from "aws-jwt-verify/jwk";
import { createRemoteJWKSet, customFetch, jwtVerify } from "jose";

const [issuer, audience] = process.argv.slice(2);
const fetches = { jose: 0, "aws-jwt-verify": 0 }; // of the key set

const verifiers = {
  jose: withJose(await keySetOf("oauth-authorization-server")),
  "aws-jwt-verify": withAwsJwtVerify(await keySetOf("openid-configuration")),
};

for await (const token of createInterface({ input: process.stdin })) {
  const answer = {};
  for (const [name, verify] of Object.entries(verifiers)) {
    answer[name] = await verify(token).then(
      (claims) => ({ sub: claims.sub }),
      (error) => ({ error: error.constructor.name }),
    );
    answer[name].fetches = fetches[name];
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

// Everything that a verifier is told about the keys is the issuer's own document.
async function keySetOf(document) {
  const response = await fetch(`${issuer}/.well-known/${document}`);
  const metadata = await response.json();
  if (metadata.issuer !== issuer) throw new Error(`${document} is of the issuer ${metadata.issuer}`);
  return metadata.jwks_uri;
}

function counted(name) {
  return (...request) => {
    fetches[name] += 1;
    return fetch(...request);
  };
}

function withJose(jwksUri) {
  const keys = createRemoteJWKSet(new URL(jwksUri), { [customFetch]: counted("jose") });
  return async (token) => (await jwtVerify(token, keys, { issuer, audience, typ: "at+jwt" })).payload;
}

// Its own fetcher takes https alone, and the local stack speaks http.
function withAwsJwtVerify(jwksUri) {
  const get = counted("aws-jwt-verify");
  const fetcher = { fetch: async (uri) => (await get(uri, { signal: AbortSignal.timeout(5_000) })).arrayBuffer() };
  const verifier = JwtVerifier.create({ issuer, audience, jwksUri }, { jwksCache: new SimpleJwksCache({ fetcher }) });
  return (token) => verifier.verify(token);
}
