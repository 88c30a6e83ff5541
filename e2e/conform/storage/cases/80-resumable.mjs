// Resumable uploads by the tus protocol.
import { ALICE, alice, anon, base64, bearers, bucket, make, put, service } from '../people.mjs'

export default async function (both) {
  await make(both, 'tus')
  await make(both, 'tussmall', { file_size_limit: 10, allowed_mime_types: ['text/plain'] })
  await make(both, 'own')
  await put(both, 'tus', 'taken.txt')

  const meta = (values) => Object.entries(values).map(([name, value]) => (value === null ? name : `${name} ${base64(value)}`)).join(',')
  const about = (key, more = {}, kind = 'tus') => ({ bucketName: bucket(kind), objectName: key, contentType: 'text/plain', cacheControl: '3600', ...more })
  const tus = { 'tus-resumable': '1.0.0' }
  const remember = (vars, _, answer) => { vars.upload = answer.headers.location && new URL(answer.headers.location).pathname }
  const create = (name, key, length, { metadata, headers = {}, bearer = service, kind, body, path = '/upload/resumable' } = {}) =>
    both(`create ${name}`, {
      method: 'POST', path, bearer, body,
      headers: { ...tus, ...(length !== undefined && { 'upload-length': length }), 'upload-metadata': metadata ?? meta(about(key, {}, kind)), ...headers },
    }, remember)
  const on = (name, method, more = {}) =>
    both(name, (vars) => ({ method, url: vars.upload ?? '/nothing', bearer: service, ...more, headers: { ...tus, ...more.headers } }))
  const patch = (name, offset, body, more = {}) =>
    on(name, 'PATCH', { ...more, body, headers: { 'content-type': 'application/offset+octet-stream', 'upload-offset': offset, ...more.headers } })
  const look = (name, key, kind = 'tus') => both(`${name}: the info`, { path: `/object/info/${bucket(kind)}/${key}`, bearer: service })

  for (const path of ['/upload/resumable', '/upload/resumable/x', '/upload/resumable/sign']) await both(`OPTIONS ${path}`, { method: 'OPTIONS', path, headers: { origin: 'http://app.example.com' } })
  await both('OPTIONS of another version', { method: 'OPTIONS', path: '/upload/resumable', headers: { 'tus-resumable': '0.2.0' } })

  await create('and fill', 'one.txt', 10)
  await on('head of the new', 'HEAD')
  await patch('the first five', 0, '01234')
  await on('head after five', 'HEAD')
  await both('not yet there', { path: `/object/${bucket('tus')}/one.txt`, bearer: service })
  await patch('at a wrong offset', 3, 'x')
  await patch('too much', 5, '0123456789')
  await on('head after too much', 'HEAD')
  await patch('the last five', 5, '56789')
  await on('head of the finished', 'HEAD')
  await patch('after the end', 10, 'x')
  await on('terminate the finished', 'DELETE')
  await both('it is there', { path: `/object/${bucket('tus')}/one.txt`, bearer: service })
  await look('the finished', 'one.txt')

  await create('with the first chunk', 'two.txt', 6, { headers: { 'content-type': 'application/offset+octet-stream' }, body: 'abc' })
  await on('head of it', 'HEAD')
  await patch('its rest', 3, 'def')
  await create('with all of it', 'three.txt', 3, { headers: { 'content-type': 'application/offset+octet-stream' }, body: 'abc' })
  await look('all at once', 'three.txt')
  await create('with more than all', 'threex.txt', 3, { headers: { 'content-type': 'application/offset+octet-stream' }, body: 'abcdef' })
  await create('of nothing', 'empty.txt', 0)
  await look('nothing', 'empty.txt')
  await create('of deferred length', 'later.txt', undefined, { headers: { 'upload-defer-length': '1' } })
  await on('head of the deferred', 'HEAD')
  await patch('a part of the deferred', 0, 'abc')
  await patch('the length of the deferred', 3, 'def', { headers: { 'upload-length': '6' } })
  await look('the deferred', 'later.txt')

  await create('of deferred length 2', 'bad.txt', undefined, { headers: { 'upload-defer-length': '2' } })
  await create('of both lengths', 'bad.txt', 5, { headers: { 'upload-defer-length': '1' } })
  await create('of no length', 'bad.txt', undefined)
  for (const length of ['-1', 'x', '1.5', '']) await create(`of length ${length}`, 'bad.txt', length)
  await create('far too large', 'bad.txt', 900_000_000_000)
  await create('too large for the bucket', 'bad.txt', 11, { kind: 'tussmall' })
  await create('without metadata', '', 5, { metadata: '' })
  await create('with broken metadata', '', 5, { metadata: 'bucketName !!!,objectName' })
  await create('without a bucket', '', 5, { metadata: meta({ objectName: 'x' }) })
  await create('without a key', '', 5, { metadata: meta({ bucketName: bucket('tus') }) })
  await create('in no bucket', 'x', 5, { kind: 'none' })
  await create('with a bad key', '€', 5)
  await create('with dots', '../x', 5)
  await create('of a refused type', '', 5, { metadata: meta(about('x', { contentType: 'image/png' }, 'tussmall')) })
  await create('without a type', 'typeless', 0, { metadata: meta({ bucketName: bucket('tus'), objectName: 'typeless' }) })
  await look('without a type', 'typeless')
  await create('with an odd cache time', '', 0, { metadata: meta(about('odd-cache', { cacheControl: 'public, max-age=5' })) })
  await look('with an odd cache time', 'odd-cache')
  await create('with user metadata', '', 0, { metadata: meta(about('with-meta', { metadata: '{"kind":"photo"}' })) })
  await look('with user metadata', 'with-meta')
  await create('with broken user metadata', '', 0, { metadata: meta(about('with-bad-meta', { metadata: '{' })) })
  await look('with broken user metadata', 'with-bad-meta')
  await create('what is taken', 'taken.txt', 3)
  await create('over what is taken', 'taken.txt', 3, { headers: { 'x-upsert': 'true' } })
  await patch('over it without saying so', 0, 'new')
  await patch('over it', 0, 'new', { headers: { 'x-upsert': 'true' } })
  await both('it was overwritten', { path: `/object/${bucket('tus')}/taken.txt`, bearer: service })

  await create('to spoil', 'spoilt.txt', 5)
  await on('of another type', 'PATCH', { body: 'x', headers: { 'content-type': 'text/plain', 'upload-offset': '0' } })
  await on('patch without an offset', 'PATCH', { body: 'x', headers: { 'content-type': 'application/offset+octet-stream' } })
  for (const offset of ['x', '-1', '99']) await patch(`at offset ${offset}`, offset, 'x')
  await on('head without a version', 'HEAD', { headers: { 'tus-resumable': '' } })
  await both('patch without a version', (vars) => ({ method: 'PATCH', url: vars.upload, bearer: service, body: 'x', headers: { 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' } }))
  await both('head of another version', (vars) => ({ method: 'HEAD', url: vars.upload, bearer: service, headers: { 'tus-resumable': '0.2.2' } }))
  await both('head without a token', (vars) => ({ method: 'HEAD', url: vars.upload, headers: tus }))
  await both('head with a wrong token', (vars) => ({ method: 'HEAD', url: vars.upload, headers: tus, bearer: bearers['a wrong signature'] }))
  await on('head by anon', 'HEAD', { bearer: anon })
  await patch('patch by anon', 0, 'x', { bearer: anon })
  await on('delete by anon', 'DELETE', { bearer: anon })
  await on('get of an upload', 'GET')
  await on('put of an upload', 'PUT', { body: 'x' })
  await on('by another method', 'POST', { headers: { 'x-http-method-override': 'HEAD' } })
  await on('terminate', 'DELETE')
  await on('head of the terminated', 'HEAD')
  await patch('patch of the terminated', 0, 'x')
  await on('terminate again', 'DELETE')
  for (const id of ['nonsense', base64(`${bucket('tus')}/never/00000000-0000-0000-0000-000000000000`).replaceAll('=', '')]) {
    await both(`head of ${id.length > 10 ? 'an unknown one' : id}`, { method: 'HEAD', path: `/upload/resumable/${id}`, bearer: service, headers: tus })
  }

  await create('as anon', 'anon.txt', 3, { bearer: anon })
  await create('as alice elsewhere', 'x.txt', 3, { bearer: alice, kind: 'own' })
  await create('as alice', `${ALICE}/tus.txt`, 3, { bearer: alice, kind: 'own' })
  await patch("patch of alice's", 0, 'abc', { bearer: alice })
  await look("alice's", `${ALICE}/tus.txt`, 'own')

  const signedUpload = (key, headers = {}) =>
    both('sign a resumable upload', { method: 'POST', path: `/object/upload/sign/${bucket('tus')}/${key}`, bearer: service, headers }, (vars, body) => { vars.token = body.token })
  const withToken = (name, method, more) =>
    both(name, (vars) => ({ method, ...(more.path ? { path: more.path } : { url: vars.upload }), body: more.body, headers: { ...tus, 'x-signature': vars.token, ...more.headers } }), more.keep)
  const at = '/upload/resumable/sign'
  await signedUpload('signed.txt')
  const fitting = { path: at, headers: { 'upload-length': '3', 'upload-metadata': meta(about('signed.txt')) } }
  await both('signed: no signature', { method: 'POST', path: at, headers: { ...tus, ...fitting.headers } })
  await both('signed: a wrong signature', { method: 'POST', path: at, headers: { ...tus, ...fitting.headers, 'x-signature': 'x' } })
  await withToken('signed: another key', 'POST', { path: at, headers: { 'upload-length': '3', 'upload-metadata': meta(about('other.txt')) } })
  await withToken('signed: create', 'POST', { ...fitting, keep: remember })
  await withToken('signed: head', 'HEAD', {})
  await both('signed: head without signature', (vars) => ({ method: 'HEAD', url: vars.upload, headers: tus }))
  await withToken('signed: patch', 'PATCH', { body: 'abc', headers: { 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' } })
  await look('signed', 'signed.txt')
  await withToken('signed: once more', 'POST', fitting)
}
