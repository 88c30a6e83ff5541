// Second factors.
import { person, totp } from '../people.mjs'

const NOBODY = '6a9d4f2e-8f8e-4c57-9f2e-3d5b8b0d7a11'

export default async function (both) {
  await person(both, 'careful')
  const ask = (method, path, body) => async (vars) => ({
    method,
    path: typeof path === 'function' ? path(vars) : path,
    bearer: vars.careful.access,
    body: typeof body === 'function' ? await body(vars) : body,
  })
  const enrol = (body) => ask('POST', '/factors', body)
  await both('enrol nothing', enrol({}))
  await both('enrol an unknown kind', enrol({ factor_type: 'tattoo' }))
  await both('enrol', enrol({ factor_type: 'totp', friendly_name: 'phone', issuer: 'Example' }), (vars, body) => (vars.totp = { id: body.id, secret: body.totp?.secret }))
  await both('enrol the same name', enrol({ factor_type: 'totp', friendly_name: 'phone' }))
  await both('enrol without a name', enrol({ factor_type: 'totp' }), (vars, body) => (vars.second = body.id))
  await both('enrol a phone without number', enrol({ factor_type: 'phone' }))
  await both('enrol a phone with a wrong number', enrol({ factor_type: 'phone', phone: 'abc' }))
  await both('enrol a phone', enrol({ factor_type: 'phone', phone: '15555550102', friendly_name: 'sms' }), (vars, body) => (vars.phonefactor = body.id))
  await both('enrol webauthn', enrol({ factor_type: 'webauthn', friendly_name: 'key' }))
  await both('challenge of an unknown factor', ask('POST', `/factors/${NOBODY}/challenge`, {}))
  await both('challenge by a name', ask('POST', '/factors/x/challenge', {}))
  await both('challenge', ask('POST', (vars) => `/factors/${vars.totp.id}/challenge`, {}), (vars, body) => (vars.challenge = body.id))
  await both('verify without code', ask('POST', (vars) => `/factors/${vars.totp.id}/verify`, (vars) => ({ challenge_id: vars.challenge })))
  await both('verify with a wrong code', ask('POST', (vars) => `/factors/${vars.totp.id}/verify`, (vars) => ({ challenge_id: vars.challenge, code: '000000' })))
  await both('verify an unknown challenge', ask('POST', (vars) => `/factors/${vars.totp.id}/verify`, { challenge_id: NOBODY, code: '000000' }))
  await both('verify a challenge by a name', ask('POST', (vars) => `/factors/${vars.totp.id}/verify`, { challenge_id: 'x', code: '000000' }))
  await both('challenge again', ask('POST', (vars) => `/factors/${vars.totp.id}/challenge`, {}), (vars, body) => (vars.challenge = body.id))
  await both(
    'verify',
    ask('POST', (vars) => `/factors/${vars.totp.id}/verify`, async (vars) => ({ challenge_id: vars.challenge, code: await totp(vars.totp.secret) })),
    (vars, body) => (vars.strong = { access: body.access_token, refresh: body.refresh_token }),
  )
  await both('the same challenge again', async (vars) => ({
    method: 'POST',
    path: `/factors/${vars.totp.id}/verify`,
    bearer: vars.strong.access,
    body: { challenge_id: vars.challenge, code: await totp(vars.totp.secret) },
  }))
  await both('user at aal2', (vars) => ({ path: '/user', bearer: vars.strong.access }))
  await both('refresh at aal2', (vars) => ({ method: 'POST', path: '/token?grant_type=refresh_token', body: { refresh_token: vars.strong.refresh } }))
  await both('sign-in with a factor', { method: 'POST', path: '/token?grant_type=password', body: { email: 'nobody@example.com', password: 'x' } })
  await both('enrol at aal2', (vars) => ({ method: 'POST', path: '/factors', bearer: vars.strong.access, body: { factor_type: 'totp', friendly_name: 'more' } }), (vars, body) => (vars.more = body.id))
  await both('factors by the admin', (vars, side) => ({ path: `/admin/users/${vars.careful.id}/factors`, bearer: side.admin }))
  await both('a factor renamed by the admin', (vars, side) => ({ method: 'PUT', path: `/admin/users/${vars.careful.id}/factors/${vars.totp.id}`, bearer: side.admin, body: { friendly_name: 'renamed' } }))
  await both('unenrol an unknown factor', (vars) => ({ method: 'DELETE', path: `/factors/${NOBODY}`, bearer: vars.strong.access }))
  await both('unenrol an unverified factor', (vars) => ({ method: 'DELETE', path: `/factors/${vars.more}`, bearer: vars.strong.access }))
  await both('unenrol', (vars) => ({ method: 'DELETE', path: `/factors/${vars.totp.id}`, bearer: vars.strong.access }))
  await both('user after that', (vars) => ({ path: '/user', bearer: vars.strong.access }))
}
