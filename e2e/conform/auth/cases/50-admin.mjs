// The admin routes.
import { PASSWORD, address } from '../people.mjs'

const NOBODY = '6a9d4f2e-8f8e-4c57-9f2e-3d5b8b0d7a11'

export default async function (both) {
  const ask = (method, path, body) => (vars, side) => ({
    method,
    path: typeof path === 'function' ? path(vars) : path,
    bearer: side.admin,
    body,
  })
  const email = address('made')
  await both('create', ask('POST', '/admin/users', { email, password: PASSWORD, user_metadata: { a: 1 }, app_metadata: { plan: 'x' } }), (vars, body) => (vars.made = body.id))
  await both('create again', ask('POST', '/admin/users', { email, password: PASSWORD }))
  for (const [name, body] of Object.entries({
    nothing: {},
    'a wrong address': { email: 'x' },
    'a short password': { email: address('m1'), password: 'x' },
    'an id': { email: address('m2'), id: '7b0c7a52-6a0d-4f5b-8f6e-0d6c1a2b3c4d' },
    'an id that is taken': { email: address('m3'), id: '7b0c7a52-6a0d-4f5b-8f6e-0d6c1a2b3c4d' },
    'an id that is no UUID': { email: address('m4'), id: 'x' },
    'the nil id': { email: address('m5'), id: '00000000-0000-0000-0000-000000000000' },
    'a hash': { email: address('m6'), password_hash: '$2a$10$SXEz2HeT8PUIGQXo9yeUIem8KzNxgG0d7o/.eGj2rj8KbRgAuRVlq' },
    'a hash that is none': { email: address('m7'), password_hash: 'x' },
    'hash and password': { email: address('m8'), password: PASSWORD, password_hash: '$2a$10$SXEz2HeT8PUIGQXo9yeUIem8KzNxgG0d7o/.eGj2rj8KbRgAuRVlq' },
    'a number': { phone: '+15555550150', phone_confirm: true },
    'address and number': { email: address('m9'), phone: '15555550151', email_confirm: true },
    'a wrong number': { phone: 'abc' },
    'a role': { email: address('m10'), role: 'editor' },
    'a ban': { email: address('m11'), ban_duration: '24h' },
    'a wrong ban': { email: address('m12'), ban_duration: 'x' },
    'metadata that is none': { email: address('m13'), user_metadata: 'x' },
  })) {
    await both(`create with ${name}`, ask('POST', '/admin/users', body))
  }
  await both('not JSON', (vars, side) => ({ method: 'POST', path: '/admin/users', bearer: side.admin, raw: '{' }))
  await both('get', ask('GET', (vars) => `/admin/users/${vars.made}`))
  await both('get nobody', ask('GET', `/admin/users/${NOBODY}`))
  await both('get by a name', ask('GET', '/admin/users/x'))
  const path = (vars) => `/admin/users/${vars.made}`
  for (const [name, body] of Object.entries({
    nothing: {},
    metadata: { user_metadata: { b: 2 }, app_metadata: { plan: null, more: 1 } },
    confirmation: { email_confirm: true },
    'a short password': { password: 'x' },
    'a password': { password: `${PASSWORD}3` },
    'an address': { email: address('made2') },
    'a wrong address': { email: 'x' },
    'a number': { phone: '15555550152' },
    'a wrong number': { phone: 'abc' },
    'the number of another': { phone: '15555550150' },
    'the address of another': { email: address('m9') },
    'a role': { role: 'editor' },
    'nonsense as a ban': { ban_duration: 'x' },
  })) {
    await both(`update of ${name}`, ask('PUT', path, body))
  }
  await both('update of nobody', ask('PUT', `/admin/users/${NOBODY}`, {}))
  await both('update by a name', ask('PUT', '/admin/users/x', {}))
  await both('factors', ask('GET', (vars) => `/admin/users/${vars.made}/factors`))
  await both('factors of nobody', ask('GET', `/admin/users/${NOBODY}/factors`))
  await both('a factor of nobody', ask('DELETE', `/admin/users/${NOBODY}/factors/${NOBODY}`))
  await both('a factor by a name', ask('DELETE', (vars) => `/admin/users/${vars.made}/factors/x`))
  await both('an unknown factor', ask('DELETE', (vars) => `/admin/users/${vars.made}/factors/${NOBODY}`))
  await both('an unknown factor updated', ask('PUT', (vars) => `/admin/users/${vars.made}/factors/${NOBODY}`, { friendly_name: 'x' }))
  await both('list, a page', ask('GET', '/admin/users?page=1&per_page=2'))
  await both('list, second page', ask('GET', '/admin/users?page=2&per_page=3'))
  await both('list, page 0', ask('GET', '/admin/users?page=0&per_page=2'))
  await both('list, page x', ask('GET', '/admin/users?page=x'))
  await both('list, per_page x', ask('GET', '/admin/users?per_page=x'))
  await both('list, far page', ask('GET', '/admin/users?page=1000&per_page=50'))
  await both('list, filter', ask('GET', `/admin/users?filter=${encodeURIComponent(address('made2'))}`))
  await both('list, filter of nobody', ask('GET', '/admin/users?filter=nobody-has-this'))
  await both('list, sorted', ask('GET', '/admin/users?sort=created_at%20desc&per_page=1'))
  await both('list, sorted wrongly', ask('GET', '/admin/users?sort=x%20y&per_page=1'))
  await both('audit', ask('GET', '/admin/audit?page=1&per_page=1'), undefined)
  await both('audit by author', ask('GET', `/admin/audit?query=author:${encodeURIComponent('nobody')}`))
  await both('audit by nonsense', ask('GET', '/admin/audit?query=x:y'))
  await both('soft deletion', ask('DELETE', path, { should_soft_delete: true }))
  await both('get after soft deletion', ask('GET', path))
  await both('deletion', ask('DELETE', path))
  await both('deletion of nobody', ask('DELETE', `/admin/users/${NOBODY}`))
  await both('deletion by a name', ask('DELETE', '/admin/users/x'))
  await both('logout of a user by the admin', (vars, side) => ({ method: 'POST', path: '/logout', bearer: side.admin }))
  await both('sso providers', ask('GET', '/admin/sso/providers'))
  await both('an sso provider of no type', ask('POST', '/admin/sso/providers', {}))
  await both('an unknown sso provider', ask('GET', `/admin/sso/providers/${NOBODY}`))
}
