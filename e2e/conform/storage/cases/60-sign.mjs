// Signed addresses: for reading, for many, for uploading, and their misuse.
import { alice, anon, base64, bucket, form, make, put, service } from '../people.mjs'
import { sign } from '../sides.mjs'

const now = Math.floor(Date.now() / 1000)

export default async function (both) {
  await make(both, 'sign')
  for (const key of ['a.txt', 'b.txt', 'dir/with%20space.txt', 'odd@+,;=%3F&$.txt']) await put(both, 'sign', key)
  const b = bucket('sign')
  const post = (name, path, json, more = {}, keep) => both(name, { method: 'POST', path, bearer: service, json, ...more }, keep)
  const keepUrl = (field) => (vars, body) => { vars.url = body[field]; vars.token = body[field]?.split('token=')[1] }

  for (const expiresIn of [60, '60', 0, -1, 1.5, 'x', null, undefined, 10 ** 9, 10 ** 12]) await post(`sign for ${expiresIn}`, `/object/sign/${b}/a.txt`, { expiresIn })
  await post('sign what is missing', `/object/sign/${b}/none.txt`, { expiresIn: 60 })
  await post('sign in no bucket', `/object/sign/${bucket('none')}/a.txt`, { expiresIn: 60 })
  await post('sign a bad key', `/object/sign/${b}/%E2%82%AC`, { expiresIn: 60 })
  await post('sign without access', `/object/sign/${b}/a.txt`, { expiresIn: 60 }, { bearer: alice })
  await post('sign with a transformation', `/object/sign/${b}/a.txt`, { expiresIn: 60, transform: {} })
  await post('sign with a wrong transformation', `/object/sign/${b}/a.txt`, { expiresIn: 60, transform: { width: 'x', resize: 'stretch' } })

  await post('sign', `/object/sign/${b}/a.txt`, { expiresIn: 600 }, {}, keepUrl('signedURL'))
  for (const method of ['GET', 'HEAD']) {
    await both(`${method} signed`, (vars) => ({ method, path: vars.url }))
    await both(`${method} signed, to save`, (vars) => ({ method, path: `${vars.url}&download=x.txt` }))
    await both(`${method} signed, for another object`, (vars) => ({ method, path: vars.url.replace('a.txt', 'b.txt') }))
    await both(`${method} signed, spoilt`, (vars) => ({ method, path: vars.url.slice(0, -3) }))
    await both(`${method} signed, no token`, { method, path: `/object/sign/${b}/a.txt` })
    await both(`${method} signed, no JWT`, { method, path: `/object/sign/${b}/a.txt?token=x` })
  }
  await both('signed with a range', (vars) => ({ path: vars.url, headers: { range: 'bytes=0-3' } }))
  await both('signed with an etag', (vars) => ({ path: vars.url, headers: { 'if-none-match': '"x"' } }))
  const own = (claims, options) => `/object/sign/${b}/a.txt?token=${sign({ url: `${b}/a.txt`, iat: now, exp: now + 60, ...claims }, options)}`
  await both('a token of our own with scope', { path: own({ scope: 'download' }) })
  await both('a token of our own without scope', { path: own({}) })
  await both('a token of another scope', { path: own({ scope: 'upload' }) })
  await both('a token with an upsert', { path: own({ upsert: false }) })
  await both('a token that is over', { path: own({ exp: now - 10 }) })
  await both('a token of another secret', { path: own({}, { secret: 'another secret that is long enough, really' }) })
  await both('a token for a user', { path: `/object/sign/${b}/a.txt?token=${alice}` })
  await both('the signed token as a bearer', (vars) => ({ path: '/bucket', bearer: vars.token }))
  await post('sign with a space', `/object/sign/${b}/dir/with%20space.txt`, { expiresIn: 60 }, {}, keepUrl('signedURL'))
  await both('read with a space', (vars) => ({ path: encodeURI(vars.url) }))
  await post('sign odd signs', `/object/sign/${b}/odd@+,;=%3F&$.txt`, { expiresIn: 60 })

  const many = (name, json, more) => post(`sign many: ${name}`, `/object/sign/${b}`, json, more)
  await many('some', { expiresIn: 60, paths: ['a.txt', 'none.txt', 'dir/with space.txt', 'a.txt'] })
  await many('none', { expiresIn: 60, paths: [] })
  await many('no paths', { expiresIn: 60 })
  await many('no time', { paths: ['a.txt'] })
  await many('numbers', { expiresIn: 60, paths: [1, null] })
  await many('bad keys', { expiresIn: 60, paths: ['€', '', '/a.txt', 'a.txt/'] })
  await many('a thousand and one', { expiresIn: 60, paths: Array.from({ length: 1001 }, (_, at) => `x${at}`) })
  await many('without access', { expiresIn: 60, paths: ['a.txt'] }, { bearer: anon })
  await post('sign many in no bucket', `/object/sign/${bucket('none')}`, { expiresIn: 60, paths: ['a.txt'] })

  const upload = (name, key, more = {}, keep) => both(`sign an upload: ${name}`, { method: 'POST', path: `/object/upload/sign/${b}/${key}`, bearer: service, ...more }, keep)
  const use = (name, more = {}) =>
    both(`signed upload: ${name}`, (vars) => ({ method: 'PUT', path: vars.url, headers: { 'content-type': 'text/plain' }, body: `bytes of ${name}`, ...(typeof more === 'function' ? more(vars) : more) }))
  await upload('new', 'up.txt', {}, keepUrl('url'))
  await use('first')
  await both('what was uploaded', { path: `/object/${b}/up.txt`, bearer: service })
  await use('second')
  await use('with an upsert that the token has not', { headers: { 'content-type': 'text/plain', 'x-upsert': 'true' } })
  await use('for another key', (vars) => ({ path: vars.url.replace('up.txt', 'other.txt') }))
  await use('no token', { path: `/object/upload/sign/${b}/up.txt` })
  await use('a spoilt token', (vars) => ({ path: vars.url.slice(0, -2) }))
  await both('a token for uploads reads', (vars) => ({ path: `/object/sign/${b}/up.txt?token=${vars.token}` }))
  await upload('over', 'up.txt', { headers: { 'x-upsert': 'true' } }, keepUrl('url'))
  await use('over it')
  await use('over it in a form', { ...form([{ name: 'cacheControl', value: '77' }, { name: '', file: 'f', type: 'image/png', value: 'form' }]) })
  await both('what was uploaded over it', { path: `/object/${b}/up.txt`, bearer: service })
  await upload('taken', 'up.txt')
  await upload('a bad key', '%23')
  await upload('in no bucket', 'x.txt', { path: `/object/upload/sign/${bucket('none')}/x.txt` })
  await upload('without access', 'y.txt', { bearer: alice })
  await upload('with a body', 'z.txt', { json: { expiresIn: 5, role: 'service_role', upsert: true } })
  await upload('with metadata', 'w.txt', { headers: { 'x-metadata': base64({ kind: 'photo' }), 'content-type': 'image/png' } })
}
