// The OAuth 2.1 server.
import { createHash } from 'node:crypto'
import { person } from '../people.mjs'

const NOBODY = '6a9d4f2e-8f8e-4c57-9f2e-3d5b8b0d7a11'
const verifier = 'w'.repeat(50)
const challenge = createHash('sha256').update(verifier).digest('base64url')
const redirect = 'https://app.example.com/callback'

export default async function (both) {
  const post = (path, body) => ({ method: 'POST', path, body })
  const client = { client_name: 'Reader', redirect_uris: [redirect] }
  for (const [name, body] of Object.entries({
    nothing: {},
    'no redirect': { client_name: 'x' },
    'a redirect by http': { client_name: 'x', redirect_uris: ['http://app.example.com/x'] },
    'a redirect with a fragment': { client_name: 'x', redirect_uris: ['https://app.example.com/x#y'] },
    'a redirect to javascript': { client_name: 'x', redirect_uris: ['javascript:alert(1)'] },
    'eleven redirects': { client_name: 'x', redirect_uris: Array.from({ length: 11 }, (_, at) => `https://app.example.com/${at}`) },
    'an unknown method': { ...client, token_endpoint_auth_method: 'tattoo' },
    'an unknown grant': { ...client, grant_types: ['password'] },
    'an unknown type': { ...client, client_type: 'odd' },
  })) {
    await both(`register with ${name}`, post('/oauth/clients/register', body))
  }
  await both('register', post('/oauth/clients/register', client), (vars, body) => (vars.client = { id: body.client_id, secret: body.client_secret }))
  await both('register a public client', post('/oauth/clients/register', { ...client, token_endpoint_auth_method: 'none' }), (vars, body) => (vars.open = body.client_id))
  const admin = (method, path, body) => (vars, side) => ({ method, path: typeof path === 'function' ? path(vars) : path, body, bearer: side.admin })
  await both('clients', admin('GET', '/admin/oauth/clients'))
  await both('client', admin('GET', (vars) => `/admin/oauth/clients/${vars.client.id}`))
  await both('unknown client', admin('GET', `/admin/oauth/clients/${NOBODY}`))
  await both('client by a name', admin('GET', '/admin/oauth/clients/x'))
  await both('client renamed', admin('PUT', (vars) => `/admin/oauth/clients/${vars.client.id}`, { client_name: 'Better' }))
  await both('client updated with nothing', admin('PUT', (vars) => `/admin/oauth/clients/${vars.client.id}`, {}))

  const authorize = (vars, extra = {}) => {
    const query = { client_id: vars.open, redirect_uri: redirect, response_type: 'code', code_challenge: challenge, code_challenge_method: 'S256', state: 'abc', ...extra }
    for (const key of Object.keys(query)) if (query[key] === undefined) delete query[key]
    return { path: `/oauth/authorize?${new URLSearchParams(query)}` }
  }
  const keep = (vars, _, answer) => (vars.authorization = new URL(answer.headers.get('location') ?? 'http://x').searchParams.get('authorization_id'))
  await both('authorize with nothing', { path: '/oauth/authorize' })
  await both('authorize an unknown client', (vars) => authorize(vars, { client_id: NOBODY }))
  await both('authorize a client by a name', (vars) => authorize(vars, { client_id: 'x' }))
  await both('authorize another redirect', (vars) => authorize(vars, { redirect_uri: 'https://evil.example.org/' }))
  await both('authorize without challenge', (vars) => authorize(vars, { code_challenge: undefined, code_challenge_method: undefined }))
  await both('authorize with an unknown method', (vars) => authorize(vars, { code_challenge_method: 'md5' }))
  await both('authorize another response', (vars) => authorize(vars, { response_type: 'token' }))
  await both('authorize an unknown scope', (vars) => authorize(vars, { scope: 'everything' }))
  await both('authorize', (vars) => authorize(vars, { scope: 'email profile' }), keep)

  await person(both, 'consenter')
  const own = (method, path, body) => (vars) => ({ method, path: typeof path === 'function' ? path(vars) : path, body, bearer: vars.consenter.access })
  await both('consent before reading', own('POST', (vars) => `/oauth/authorizations/${vars.authorization}/consent`, { action: 'approve' }))
  await both('authorization', own('GET', (vars) => `/oauth/authorizations/${vars.authorization}`))
  await both('authorization without bearer', (vars) => ({ path: `/oauth/authorizations/${vars.authorization}` }))
  await both('unknown authorization', own('GET', '/oauth/authorizations/abcdefghijklmnop'))
  await both('consent to nonsense', own('POST', (vars) => `/oauth/authorizations/${vars.authorization}/consent`, { action: 'maybe' }))
  await both('consent', own('POST', (vars) => `/oauth/authorizations/${vars.authorization}/consent`, { action: 'approve' }), (vars, body) => {
    vars.code = new URL(body.redirect_url ?? 'http://x').searchParams.get('code')
  })
  await both('consent again', own('POST', (vars) => `/oauth/authorizations/${vars.authorization}/consent`, { action: 'approve' }))
  const token = (form) => (vars) => ({ method: 'POST', path: '/oauth/token', form: form(vars) })
  await both('token of nothing', token(() => ({})))
  await both('token of an unknown client', token(() => ({ grant_type: 'authorization_code', client_id: NOBODY, code: 'x' })))
  await both('token of an unknown grant', token((vars) => ({ grant_type: 'password', client_id: vars.open })))
  await both('token of an unknown code', token((vars) => ({ grant_type: 'authorization_code', client_id: vars.open, code: 'x', code_verifier: verifier, redirect_uri: redirect })))
  await both('token with a wrong verifier', token((vars) => ({ grant_type: 'authorization_code', client_id: vars.open, code: vars.code, code_verifier: 'z'.repeat(50), redirect_uri: redirect })))
  await both('token', token((vars) => ({ grant_type: 'authorization_code', client_id: vars.open, code: vars.code, code_verifier: verifier, redirect_uri: redirect })), (vars, body) => {
    vars.granted = { access: body.access_token, refresh: body.refresh_token }
  })
  await both('token again', token((vars) => ({ grant_type: 'authorization_code', client_id: vars.open, code: vars.code, code_verifier: verifier, redirect_uri: redirect })))
  await both('userinfo', (vars) => ({ path: '/oauth/userinfo', bearer: vars.granted.access }))
  await both('userinfo without bearer', { path: '/oauth/userinfo' })
  await both('userinfo of a session without client', (vars) => ({ path: '/oauth/userinfo', bearer: vars.consenter.access }))
  await both('refresh by the client', token((vars) => ({ grant_type: 'refresh_token', client_id: vars.open, refresh_token: vars.granted.refresh })))
  await both('refresh by another client', (vars) => ({
    method: 'POST',
    path: '/oauth/token',
    form: { grant_type: 'refresh_token', refresh_token: vars.granted.refresh, client_id: vars.client.id, client_secret: vars.client.secret },
  }))
  await both('grants', own('GET', '/user/oauth/grants'))
  await both('a second time', (vars) => authorize(vars, { scope: 'email' }), keep)
  await both('authorization with a consent before', own('GET', (vars) => `/oauth/authorizations/${vars.authorization}`))
  await both('denied', (vars) => authorize(vars, { scope: 'email phone' }), keep)
  await both('authorization to be denied', own('GET', (vars) => `/oauth/authorizations/${vars.authorization}`))
  await both('deny', own('POST', (vars) => `/oauth/authorizations/${vars.authorization}/consent`, { action: 'deny' }))
  await both('revoke without client', own('DELETE', '/user/oauth/grants'))
  await both('revoke an unknown client', own('DELETE', `/user/oauth/grants?client_id=${NOBODY}`))
  await both('revoke', own('DELETE', (vars) => `/user/oauth/grants?client_id=${vars.open}`))
  await both('grants after that', own('GET', '/user/oauth/grants'))
  await both('a new secret', admin('POST', (vars) => `/admin/oauth/clients/${vars.client.id}/regenerate_secret`))
  await both('client deleted', admin('DELETE', (vars) => `/admin/oauth/clients/${vars.client.id}`))
  await both('client deleted again', admin('DELETE', (vars) => `/admin/oauth/clients/${vars.client.id}`))
}
