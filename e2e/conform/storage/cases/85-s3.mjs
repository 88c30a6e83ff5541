// The S3 protocol: buckets and objects.
import { KEYS, chunked, presigned, postPolicy, sha256, signed, trailed } from '../s3.mjs'
import { RUN, alice, anon, bucket, form, make, service } from '../people.mjs'

export default async function (both) {
  const b = bucket('s3')
  const ask = (name, method, path, options = {}, keep) => both(`s3: ${name}`, (_, side) => signed(side, method, path, options), keep)

  await ask('create a bucket', 'PUT', `/${b}`)
  await ask('create it again', 'PUT', `/${b}`)
  await ask('create a public one', 'PUT', `/${bucket('s3pub')}`, { headers: { 'x-amz-acl': 'public-read' } })
  await ask('create with a constraint', 'PUT', `/${bucket('s3loc')}`, { body: '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>', headers: { 'content-type': 'application/xml' } })
  await both('s3: the public one', { path: `/bucket/${bucket('s3pub')}`, bearer: service })
  await ask('create a bad name', 'PUT', '/b%C3%A4d')
  await ask('head a bucket', 'HEAD', `/${b}`)
  await ask('head no bucket', 'HEAD', `/${bucket('none')}`)
  await ask('location', 'GET', `/${b}`, { query: 'location' })
  await ask('versioning', 'GET', `/${b}`, { query: 'versioning' })
  await ask('location of none', 'GET', `/${bucket('none')}`, { query: 'location' })

  const put = (key, body, headers = {}) => ask(`put ${key}`, 'PUT', `/${b}/${key}`, { body, headers: { 'content-type': 'text/plain', ...headers } })
  await put('a.txt', '0123456789', { 'x-amz-meta-kind': 'photo', 'cache-control': 'max-age=7' })
  for (const key of ['b.txt', 'c/1.txt', 'c/2.txt', 'c/d/3.txt', 'e.txt', 'C.txt', 'odd%20key', 'amp%26key', 'plus%2Bkey']) await put(key, `content of ${key}`)
  await put('folder/', '')
  await put('empty', '')
  await put('%E2%82%AC', 'x')
  await put('%23', 'x')
  await put('..%2Fx', 'x')
  await ask('put in no bucket', 'PUT', `/${bucket('none')}/x`, { body: 'x' })
  await ask('put without a type', 'PUT', `/${b}/typeless`, { body: 'x' })
  await ask('put with a wrong hash', 'PUT', `/${b}/wrong`, { body: 'x', hash: sha256('y') })
  await ask('put unsigned', 'PUT', `/${b}/unsigned`, { body: 'x', hash: 'UNSIGNED-PAYLOAD' })
  await both('s3: put in chunks', (_, side) => chunked(side, 'PUT', `/${b}/chunked`, ['a'.repeat(8192), 'bcd']))
  await both('s3: put in chunks, one spoilt', (_, side) => chunked(side, 'PUT', `/${b}/chunked2`, ['a'.repeat(8192), 'bcd'], { spoil: 1 }))
  await both('s3: put with a trailer', (_, side) => trailed(side, 'PUT', `/${b}/trailed`, 'hello', 'x-amz-checksum-crc32:NhCmhg=='))
  await both('s3: put without the trailer', (_, side) => trailed(side, 'PUT', `/${b}/trailed2`, 'hello', ''))
  await both('s3: what the other protocol sees', { path: `/object/info/${b}/a.txt`, bearer: service })

  for (const method of ['GET', 'HEAD']) {
    const get = (name, key, options) => ask(`${method} ${name}`, method, `/${b}/${key}`, options)
    await get('an object', 'a.txt')
    await get('nothing there', 'none')
    await get('an empty one', 'empty')
    await get('a folder', 'folder/')
    await get('an odd key', 'odd%20key')
    await get('with a range', 'a.txt', { headers: { range: 'bytes=2-4' } })
    await get('with an impossible range', 'a.txt', { headers: { range: 'bytes=20-' } })
    await get('with its etag', 'a.txt', { headers: { 'if-none-match': '"781e5e245d69b566979b86e28d23f2c7"' } })
    await get('with another etag', 'a.txt', { headers: { 'if-none-match': '"x"' } })
    await get('modified since the future', 'a.txt', { headers: { 'if-modified-since': 'Fri, 01 Jan 2100 00:00:00 GMT' } })
    await get('as something else', 'a.txt', { query: 'response-content-type=text%2Fcss&response-cache-control=no-store&response-content-disposition=attachment' })
    await get('of no bucket', '../none/x'.replace('../', '%2E%2E%2F'))
  }
  await ask('tagging', 'GET', `/${b}/a.txt`, { query: 'tagging' })
  await ask('tagging of none', 'GET', `/${b}/none`, { query: 'tagging' })

  for (const query of [
    '', 'max-keys=2', 'prefix=c%2F', 'delimiter=%2F', 'prefix=c%2F&delimiter=%2F', 'delimiter=%2F&max-keys=2', 'max-keys=0', 'max-keys=x', 'max-keys=5000', 'encoding-type=url', 'encoding-type=x',
    'delimiter=t', 'prefix=none', 'prefix=%25',
  ]) {
    await ask(`list 2 ${query}`, 'GET', `/${b}`, { query: `list-type=2${query && '&'}${query}` })
    await ask(`list 1 ${query}`, 'GET', `/${b}`, { query })
  }
  await ask('list after a key', 'GET', `/${b}`, { query: 'list-type=2&start-after=c%2F1.txt' })
  await ask('list with a marker', 'GET', `/${b}`, { query: 'marker=c%2F1.txt' })
  await ask('list with a bad token', 'GET', `/${b}`, { query: 'list-type=2&continuation-token=nonsense' })
  await ask('list with the owner', 'GET', `/${b}`, { query: 'list-type=2&fetch-owner=true&max-keys=1' })
  for (const delimiter of ['', '&delimiter=%2F']) {
    const keep = (vars, body) => { vars.next = body.ListBucketResult?.NextContinuationToken }
    for (const page of ['first', 'second', 'third']) {
      await both(`s3: the ${page} page${delimiter && ' with a delimiter'}`, (vars, side) =>
        signed(side, 'GET', `/${b}`, { query: `list-type=2&max-keys=4${delimiter}${vars.next ? `&continuation-token=${encodeURIComponent(vars.next)}` : ''}` }), keep)
    }
    await both('s3: forget the page', (vars) => { delete vars.next; return { path: '/status' } })
  }
  await ask('list no bucket', 'GET', `/${bucket('none')}`, { query: 'list-type=2' })
  await ask('list with a slash', 'GET', `/${b}/`, { query: 'list-type=2&max-keys=1' })

  const copy = (name, to, source, headers = {}) => ask(`copy ${name}`, 'PUT', `/${b}/${to}`, { headers: { 'x-amz-copy-source': source, ...headers } })
  await copy('an object', 'copy1', `${b}/a.txt`)
  await copy('with a slash', 'copy2', `/${b}/a.txt`)
  await copy('of a folder', 'copy3', `${b}/c/1.txt`)
  await copy('an odd key', 'copy4', `${b}/odd%20key`)
  await copy('nothing', 'copy5', `${b}/none`)
  await copy('from no bucket', 'copy6', `${bucket('none')}/a.txt`)
  await copy('nonsense', 'copy7', 'nonsense')
  await copy('with new data', 'copy8', `${b}/a.txt`, { 'x-amz-metadata-directive': 'REPLACE', 'content-type': 'text/css', 'x-amz-meta-note': 'new' })
  await ask('head of a copy', 'HEAD', `/${b}/copy1`)
  await ask('head of a copy with new data', 'HEAD', `/${b}/copy8`)
  await copy('if it matches', 'copy9', `${b}/a.txt`, { 'x-amz-copy-source-if-match': '"781e5e245d69b566979b86e28d23f2c7"' })
  await copy('if it matches not', 'copy10', `${b}/a.txt`, { 'x-amz-copy-source-if-match': '"x"' })
  await copy('if it differs', 'copy11', `${b}/a.txt`, { 'x-amz-copy-source-if-none-match': '"781e5e245d69b566979b86e28d23f2c7"' })
  await copy('if changed since the future', 'copy12', `${b}/a.txt`, { 'x-amz-copy-source-if-modified-since': 'Fri, 01 Jan 2100 00:00:00 GMT' })
  await copy('onto itself', 'a.txt', `${b}/a.txt`)

  const xml = { 'content-type': 'application/xml' }
  const many = (name, body, headers = xml) => ask(`delete ${name}`, 'POST', `/${b}`, { query: 'delete', body, headers })
  await many('some', '<Delete><Object><Key>copy1</Key></Object><Object><Key>never</Key></Object></Delete>')
  await many('quietly', '<Delete><Quiet>true</Quiet><Object><Key>copy2</Key></Object></Delete>')
  await many('one with an ampersand', '<Delete><Object><Key>amp&amp;key</Key></Object></Delete>')
  await many('nothing', '<Delete></Delete>')
  await many('no XML', 'nonsense')
  await many('broken XML', '<Delete><Object>')
  await ask('delete one', 'DELETE', `/${b}/copy3`)
  await ask('delete it again', 'DELETE', `/${b}/copy3`)
  await ask('delete in no bucket', 'DELETE', `/${bucket('none')}/x`)
  await ask('delete a full bucket', 'DELETE', `/${b}`)
  await ask('delete an empty bucket', 'DELETE', `/${bucket('s3loc')}`)
  await ask('delete no bucket', 'DELETE', `/${bucket('none')}`)

  // Who asks.
  const wrong = { ...KEYS, secret: 'wrong' }
  await both('s3: no signature', { path: `/s3/${b}` })
  await both('s3: a bearer', { path: `/s3/${b}`, bearer: service })
  await ask('a wrong secret', 'GET', `/${b}`, { keys: wrong })
  await ask('a wrong key', 'GET', `/${b}`, { keys: { ...KEYS, id: 'nobody' } })
  for (const region of ['auto', 'eu-west-1', 'local']) await ask(`region ${region}`, 'GET', `/${b}`, { region, query: 'max-keys=1' })
  await ask('another service', 'GET', `/${b}`, { service: 'ec2' })
  await ask('an old date', 'HEAD', `/${b}`, { date: new Date(Date.now() - 3_600_000) })
  await ask('a header that is not signed', 'GET', `/${b}`, { more: { 'x-amz-meta-x': '1' }, query: 'max-keys=1' })
  for (const authorization of ['AWS4-HMAC-SHA256', 'AWS4-HMAC-SHA256 Credential=x', 'AWS x:y', 'AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=x']) {
    await both(`s3: authorization ${authorization}`, { path: `/s3/${b}`, headers: { authorization } })
  }
  await both('s3: a presigned get', (_, side) => ({ url: presigned(side, 'GET', `/${b}/a.txt`) }))
  await both('s3: a presigned put', (_, side) => ({ method: 'PUT', url: presigned(side, 'PUT', `/${b}/presigned`), body: 'x' }))
  await both('s3: presigned, over', (_, side) => ({ url: presigned(side, 'GET', `/${b}/a.txt`, { date: new Date(Date.now() - 100_000), expires: 10 }) }))
  await both('s3: presigned, another key', (_, side) => ({ url: presigned(side, 'GET', `/${b}/a.txt`).replace('a.txt', 'b.txt') }))
  await both('s3: presigned, a wrong secret', (_, side) => ({ url: presigned(side, 'GET', `/${b}/a.txt`, { keys: wrong }) }))
  await both('s3: presigned with another bearer', (_, side) => ({ url: presigned(side, 'GET', `/${b}/a.txt`), bearer: alice }))
  await ask('a session of a forged token', 'GET', `/${b}`, { keys: { id: 'x', secret: 'y' }, token: `${anon}x` })

  const post = (name, policy, extra = {}, content = 'posted') =>
    both(`s3: form ${name}`, (_, side) => {
      const fields = { ...postPolicy({ keys: side.keys, ...policy }), ...extra }
      const made = form([...Object.entries(fields).map(([field, value]) => ({ name: field, value })), { name: 'file', file: 'f.txt', type: 'text/plain', value: content }])
      return { method: 'POST', path: `/s3/${b}`, ...made }
    })
  const rules = [{ bucket: b }, ['starts-with', '$key', 'form/']]
  await post('posts an object', { conditions: rules, fields: { key: 'form/x' } })
  await post('elsewhere', { conditions: rules, fields: { key: 'other/x' } })
  await post('too late', { conditions: rules, fields: { key: 'form/x' }, expiration: '2001-01-01T00:00:00Z' })
  await post('without an end', { conditions: rules, fields: { key: 'form/x' }, expiration: null })
  await post('by another key', { conditions: rules, fields: { key: 'form/x' }, keys: wrong })
  await post('with a field too many', { conditions: rules, fields: { key: 'form/x' } }, { 'Content-Type': 'text/css' })
  await post('with a spoilt policy', { conditions: rules, fields: { key: 'form/x' } }, { Policy: 'e30=' })
  await ask('what the form posted', 'HEAD', `/${b}/form/x`)
  await both('s3: all buckets', (_, side) => signed(side, 'GET', `/${bucket('none')}`, { query: `run=${RUN}` }))
  await ask('a method that is not there', 'PATCH', `/${b}`)
  for (const query of ['acl', 'policy', 'lifecycle', 'cors', 'website', 'encryption']) await ask(`get ${query}`, 'GET', `/${b}`, { query })
  await ask('put tagging', 'PUT', `/${b}/e.txt`, { query: 'tagging', body: '<Tagging/>', headers: xml })
}
