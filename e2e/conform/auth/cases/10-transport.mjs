// What holds for every request: routes, methods, bodies, versions of errors, bearers.
import { sign } from '../sides.mjs'

const now = Math.floor(Date.now() / 1000)

export default async function (both) {
  await both('health', { path: '/health' })
  await both('settings', { path: '/settings' })
  await both('settings with a slash', { path: '/settings/' })
  await both('jwks', { path: '/.well-known/jwks.json' })
  await both('openid configuration', { path: '/.well-known/openid-configuration' })
  await both('oauth server metadata', { path: '/.well-known/oauth-authorization-server' })
  await both('an unknown route', { path: '/nowhere' })
  await both('an unknown admin route', (_, side) => ({ path: '/admin/nowhere', bearer: side.admin }))
  await both('a wrong method', { method: 'DELETE', path: '/signup' })
  await both('get of a post', { path: '/token' })
  await both('head of verify', { method: 'HEAD', path: '/verify?type=signup&token=x' })

  for (const path of ['/signup', '/token?grant_type=password', '/recover', '/otp', '/magiclink', '/resend', '/verify']) {
    await both(`${path}: no body`, { method: 'POST', path })
    await both(`${path}: not JSON`, { method: 'POST', path, raw: '{"email":' })
    await both(`${path}: an array`, { method: 'POST', path, raw: '[]' })
    await both(`${path}: an empty object`, { method: 'POST', path, body: {} })
    await both(`${path}: a number for the address`, { method: 'POST', path, body: { email: 7 } })
  }
  await both('new shape of errors', {
    method: 'POST',
    path: '/signup',
    body: {},
    headers: { 'x-supabase-api-version': '2024-01-01' },
  })
  await both('a later version', {
    method: 'POST',
    path: '/otp',
    body: { email: 'nonsense' },
    headers: { 'x-supabase-api-version': '2025-06-01' },
  })
  await both('an unparsable version', {
    method: 'POST',
    path: '/signup',
    body: {},
    headers: { 'x-supabase-api-version': 'tomorrow' },
  })
  await both('a body over the limit', { method: 'POST', path: '/signup', raw: `{"email":"${'x'.repeat(1_100_000)}"}` })

  const bearers = {
    'no bearer': {},
    'basic credentials': { headers: { authorization: 'Basic eDp5' } },
    'an empty bearer': { headers: { authorization: 'Bearer ' } },
    'a bearer that is no token': { bearer: 'nonsense' },
    'a wrong signature': { bearer: sign({ sub: 'x', exp: now + 60 }, { secret: 'another-secret-of-32-characters-or-more' }) },
    'algorithm none': { bearer: sign({ sub: 'x', exp: now + 60 }, { header: { alg: 'none', typ: 'JWT' } }) },
    'an unknown algorithm': { bearer: sign({ sub: 'x' }, { header: { alg: 'HS999', typ: 'JWT' } }) },
    'an expired token': { bearer: sign({ sub: '6a9d4f2e-8f8e-4c57-9f2e-3d5b8b0d7a11', exp: now - 3600, aud: 'authenticated' }) },
    'a token without subject': { bearer: sign({ exp: now + 60, aud: 'authenticated', role: 'authenticated' }) },
    'a subject that is no UUID': { bearer: sign({ sub: 'x', exp: now + 60, aud: 'authenticated', role: 'authenticated' }) },
    'an unknown subject': { bearer: sign({ sub: '6a9d4f2e-8f8e-4c57-9f2e-3d5b8b0d7a11', exp: now + 60, aud: 'authenticated', role: 'authenticated' }) },
    'a session that is no UUID': {
      bearer: sign({ sub: '6a9d4f2e-8f8e-4c57-9f2e-3d5b8b0d7a11', session_id: 'x', exp: now + 60, aud: 'authenticated' }),
    },
    'the service role': { bearer: sign({ role: 'service_role', exp: now + 60 }) },
    'lower-case bearer': { headers: { authorization: `bearer ${sign({ role: 'service_role', exp: now + 60 })}` } },
  }
  for (const [name, request] of Object.entries(bearers)) {
    await both(`GET /user with ${name}`, { path: '/user', ...request })
    await both(`GET /admin/users/… with ${name}`, { path: '/admin/users/6a9d4f2e-8f8e-4c57-9f2e-3d5b8b0d7a11', ...request })
  }
  await both('PUT /user without bearer', { method: 'PUT', path: '/user', body: {} })
  await both('POST /logout without bearer', { method: 'POST', path: '/logout' })
  await both('GET /reauthenticate without bearer', { path: '/reauthenticate' })
  await both('POST /factors without bearer', { method: 'POST', path: '/factors', body: {} })
  await both('POST /invite without bearer', { method: 'POST', path: '/invite', body: { email: 'a@example.com' } })
  await both('POST /admin/users without bearer', { method: 'POST', path: '/admin/users', body: {} })
  await both('POST /admin/generate_link without bearer', { method: 'POST', path: '/admin/generate_link', body: {} })
  await both('GET /admin/audit without bearer', { path: '/admin/audit' })
  await both('GET /user/identities/authorize without bearer', { path: '/user/identities/authorize?provider=github' })
}
