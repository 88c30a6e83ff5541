// Uploads: raw bodies and forms, headers, names, sizes, types, overwriting.
import { alice, anon, base64, bucket, form, make, put, service } from '../people.mjs'

export default async function (both) {
  await make(both, 'up')
  await make(both, 'small', { file_size_limit: 1000 })
  await make(both, 'text', { allowed_mime_types: ['text/plain', 'image/*'] })
  const path = (kind, key) => `/object/${bucket(kind)}/${key}`

  /** An upload, then what a reader sees of it. */
  async function upload(name, { kind = 'up', key = name.replaceAll(/\W+/g, '-'), see = true, ...request }) {
    const [body, headers] = [request.body ?? `bytes of ${key}`, { 'content-type': 'text/plain', ...request.headers }]
    for (const header of Object.keys(headers)) if (headers[header] === undefined) delete headers[header]
    await both(`upload ${name}`, { method: 'POST', path: path(kind, key), bearer: service, ...request, body, headers })
    if (!see) return
    await both(`upload ${name}: the object`, { path: path(kind, key), bearer: service })
    await both(`upload ${name}: its info`, { path: `/object/info/${bucket(kind)}/${key}`, bearer: service })
  }

  await upload('plain', {})
  await upload('plain again', { key: 'plain' })
  await upload('over it', { key: 'plain', headers: { 'x-upsert': 'true' }, body: 'other' })
  await upload('over it with another word', { key: 'plain', headers: { 'x-upsert': 'yes' }, body: 'third' })
  await upload('over it with PUT', { key: 'plain', method: 'PUT', body: 'fourth' })
  await upload('new with PUT', { method: 'PUT' })
  await upload('nothing', { body: '' })
  await upload('without a length', { chunked: true })
  await upload('without a type', { headers: { 'content-type': undefined } })
  await upload('with an empty type', { headers: { 'content-type': '' } })
  await upload('with an unparsable type', { headers: { 'content-type': 'nonsense' } })
  await upload('with a charset', { headers: { 'content-type': 'text/plain; charset=utf-8' } })
  await upload('HTML', { headers: { 'content-type': 'text/html' }, body: '<b>x</b>' })
  await upload('JSON', { headers: { 'content-type': 'application/json' }, body: '{"a":1}' })
  await upload('broken JSON', { headers: { 'content-type': 'application/json' }, body: '{"a":' })
  await upload('XML', { headers: { 'content-type': 'application/xml' }, body: '<a/>' })
  await upload('a form as text', { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a=b' })
  await upload('cached', { headers: { 'cache-control': 'max-age=3600' } })
  await upload('cached oddly', { headers: { 'cache-control': '3600' } })
  await upload('with metadata', { headers: { 'x-metadata': base64({ kind: 'photo', deep: { a: [1] } }) } })
  await upload('with broken metadata', { headers: { 'x-metadata': 'no base64 of JSON' } })
  await upload('with a list as metadata', { headers: { 'x-metadata': base64([1, 2]) } })
  for (const tag of ['noindex', 'noindex, nofollow', 'all', 'max-snippet:10', 'max-snippet:-2', 'googlebot: noindex', 'unavailable_after: 25 Jun 2030 15:00:00 PST', 'wrong', 'max-image-preview:huge']) {
    await upload(`x-robots-tag ${tag}`, { headers: { 'x-robots-tag': tag } })
  }

  await upload('a form', { ...form([{ name: '', file: 'f.txt', type: 'text/plain', value: 'in a form' }]) })
  await upload('a form with fields', {
    ...form([
      { name: 'cacheControl', value: '120' },
      { name: 'metadata', value: '{"kind":"photo"}' },
      { name: '', file: 'f.txt', type: 'text/plain', value: 'in a form' },
    ]),
  })
  await upload('a form with another metadata', {
    ...form([{ name: 'userMetadata', value: '{"a":1}' }, { name: 'file', file: 'f', type: 'image/png', value: 'x' }]),
  })
  await upload('a form with a content type', {
    ...form([{ name: 'contentType', value: 'text/css' }, { name: 'file', file: 'f', type: 'image/png', value: 'x' }]),
  })
  await upload('a form with broken metadata', { ...form([{ name: 'metadata', value: '{' }, { name: '', file: 'f', value: 'x' }]) })
  await upload('a form with an odd cache time', { ...form([{ name: 'cacheControl', value: 'public, max-age=1' }, { name: '', file: 'f', value: 'x' }]) })
  await upload('a form without a type', { ...form([{ name: '', file: 'f', value: 'x' }]) })
  await upload('a form without a file', { ...form([{ name: 'cacheControl', value: '1' }]), see: false })
  await upload('an empty file in a form', { ...form([{ name: '', file: 'f', type: 'text/plain', value: '' }]) })
  await upload('a form without boundary', { body: 'x', headers: { 'content-type': 'multipart/form-data' }, see: false })
  await upload('a form cut short', { body: '--b\r\nContent-Disposition: form-data; name=""; filename="f"\r\n\r\nx', headers: { 'content-type': 'multipart/form-data; boundary=b' }, see: false })

  const keys = [
    'deep/er/file.txt', "odd!_.*'()&$=@;:+,?-".replace('?', '%3F'), 'a%20space', 'a b'.replace(' ', '%20'), 'slash%2Fencoded', 'trailing/', 'a//b', '%2Flead', '//two',
    'x.emptyFolderPlaceholder', '.emptyFolderPlaceholder', 'plus+sign', 'semi;colon', '%E2%82%AC', 'hash%23', 'pct%25', 'tilde~', 'back%5Cslash', 'quote%22',
    'pipe%7C', 'caret%5E', 'brace%7Bx%7D', 'bracket%5Bx%5D', 'new%0Aline', 'nul%00', 'lt%3C', 'bad%zz', 'bad%', 'tab%09', 'utf%ff', 'x/../y', '../up', './here', 'end/..', '...',
  ]
  for (const key of keys) await upload(`key ${key}`, { key })
  await upload('a long key', { key: `${'d'.repeat(200)}/${'f'.repeat(200)}` })
  await upload('too long a segment', { key: 's'.repeat(256) })
  await upload('too long a key', { key: `${'d'.repeat(200)}/`.repeat(6) + 'f' })
  await both('upload to no key', { method: 'POST', path: `/object/${bucket('up')}/`, bearer: service, body: 'x', headers: { 'content-type': 'text/plain' } })
  await upload('a placeholder with content', { key: 'p/.emptyFolderPlaceholder', body: 'x' })
  await upload('a placeholder', { key: 'q/.emptyFolderPlaceholder', body: '' })
  await upload('a placeholder among texts', { kind: 'text', key: 'q/.emptyFolderPlaceholder', body: '', headers: { 'content-type': 'application/x' } })

  await upload('within the limit', { kind: 'small', body: 'x'.repeat(1000) })
  await upload('over the limit', { kind: 'small', body: 'x'.repeat(1001) })
  await upload('over the limit with an upsert', { kind: 'small', key: 'within-the-limit', body: 'x'.repeat(1001), headers: { 'x-upsert': 'true' } })
  await upload('over the limit in a form', { kind: 'small', ...form([{ name: '', file: 'f', type: 'text/plain', value: 'x'.repeat(3000) }]) })
  await upload('over the limit without a length', { kind: 'small', chunked: true, body: 'x'.repeat(5000) })
  await upload('a declared size over everything', { declared: 900_000_000_000, body: '', see: false })
  await upload('an allowed type', { kind: 'text' })
  await upload('an allowed type with a charset', { kind: 'text', headers: { 'content-type': 'text/plain;charset=UTF-8' } })
  await upload('an allowed family', { kind: 'text', headers: { 'content-type': 'image/webp' } })
  await upload('a type in capitals', { kind: 'text', headers: { 'content-type': 'TEXT/PLAIN' } })
  await upload('a refused type', { kind: 'text', headers: { 'content-type': 'text/html' } })
  await upload('a refused type in a form', { kind: 'text', ...form([{ name: '', file: 'f', type: 'text/html', value: 'x' }]) })
  await upload('a refused default type', { kind: 'text', headers: { 'content-type': undefined } })

  await upload('to no bucket', { kind: 'missing', see: false })
  await both('upload to a bad bucket', { method: 'POST', path: '/object/b%C3%A4d/x', bearer: service, body: 'x', headers: { 'content-type': 'text/plain' } })
  await upload('as anon', { bearer: anon })
  await upload('as alice', { bearer: alice, method: 'PUT' })
  await put(both, 'small', 'taken.txt')
  await upload('too large and taken', { kind: 'small', key: 'taken.txt', body: 'x'.repeat(1001), see: false })
  await upload('too large and with a bad key', { kind: 'small', key: '%23', body: 'x'.repeat(1001), see: false })
}
