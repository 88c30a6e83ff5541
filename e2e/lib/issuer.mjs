// A provider of identities: OpenID Connect with real signatures, on this machine. It agrees to everything at once.

import { createHash, createSign, generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'

export const CLIENT = { id: 'rowhouse-e2e', secret: 'a secret/+' }

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

export class Issuer {
  /** Who signs in. */
  person = { sub: 'p-1', email: 'ann@example.com', email_verified: true, name: 'Ann Lee' }
  codes = new Map()

  static async listen() {
    const issuer = new Issuer()
    issuer.keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
    issuer.server = http.createServer((request, response) => issuer.answer(request, response))
    issuer.server.listen(0, '127.0.0.1')
    await once(issuer.server, 'listening')
    issuer.url = `http://127.0.0.1:${issuer.server.address().port}`
    return issuer
  }

  async close() {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  /** An ID token, for this client unless `claims` say otherwise. */
  token(claims = {}) {
    const now = Math.floor(Date.now() / 1000)
    const payload = { iss: this.url, aud: CLIENT.id, iat: now, exp: now + 600, ...this.person, ...claims }
    const signed = `${encode({ alg: 'RS256', typ: 'JWT', kid: 'one' })}.${encode(payload)}`
    const signature = createSign('RSA-SHA256').update(signed).sign(this.keys.privateKey, 'base64url')
    return `${signed}.${signature}`
  }

  async answer(request, response) {
    const url = new URL(request.url, this.url)
    let body = ''
    for await (const chunk of request) body += chunk
    const json = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(value))
    }
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return json(200, {
          issuer: this.url,
          authorization_endpoint: `${this.url}/authorize`,
          token_endpoint: `${this.url}/token`,
          userinfo_endpoint: `${this.url}/userinfo`,
          jwks_uri: `${this.url}/jwks`,
          id_token_signing_alg_values_supported: ['RS256'],
        })
      case '/jwks':
        return json(200, {
          keys: [{ ...this.keys.publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }],
        })
      case '/authorize': {
        const code = randomUUID()
        this.codes.set(code, Object.fromEntries(url.searchParams))
        const back = new URL(url.searchParams.get('redirect_uri'))
        back.searchParams.set('code', code)
        back.searchParams.set('state', url.searchParams.get('state'))
        response.writeHead(302, { location: back.href })
        return response.end()
      }
      case '/token':
        return this.exchange(request, new URLSearchParams(body), json)
      default:
        return json(404, {})
    }
  }

  exchange(request, form, json) {
    const basic = `${encodeURIComponent(CLIENT.id)}:${encodeURIComponent(CLIENT.secret).replaceAll('%20', '+')}`
    const known =
      request.headers.authorization === `Basic ${Buffer.from(basic).toString('base64')}` ||
      (form.get('client_id') === CLIENT.id && form.get('client_secret') === CLIENT.secret)
    if (!known) return json(401, { error: 'invalid_client' })
    const asked = this.codes.get(form.get('code'))
    this.codes.delete(form.get('code'))
    const challenge = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url')
    const good =
      asked?.redirect_uri === form.get('redirect_uri') &&
      (!asked.code_challenge || asked.code_challenge === challenge)
    if (!good) return json(400, { error: 'invalid_grant' })
    return json(200, {
      access_token: 'their-access',
      refresh_token: 'their-refresh',
      token_type: 'bearer',
      id_token: this.token(asked.nonce ? { nonce: asked.nonce } : {}),
    })
  }
}
