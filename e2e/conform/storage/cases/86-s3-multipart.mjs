// The S3 protocol: uploads in parts.
import { signed } from '../s3.mjs'
import { bucket, make, service } from '../people.mjs'

const PART = 'p'.repeat(5 * 1024 * 1024)

export default async function (both) {
  await make(both, 'parts')
  const b = bucket('parts')
  const ask = (name, method, path, options = {}, keep) =>
    both(`s3: ${name}`, (vars, side) => signed(side, method, path, typeof options === 'function' ? options(vars) : options), keep)
  const begin = (name, key, headers = {}) =>
    ask(name, 'POST', `/${b}/${key}`, { query: 'uploads=', headers: { 'content-type': 'text/plain', ...headers } }, (vars, body) => { vars.upload = body.InitiateMultipartUploadResult?.UploadId; vars.etags = {} })
  const part = (name, key, number, body, more = {}) =>
    ask(name, 'PUT', `/${b}/${key}`, (vars) => ({ query: `partNumber=${number}&uploadId=${vars.upload}`, body, ...more }), (vars, _, answer) => { if (answer.headers.etag) vars.etags[number] = answer.headers.etag })
  const complete = (name, key, parts) =>
    ask(name, 'POST', `/${b}/${key}`, (vars) => ({
      query: `uploadId=${vars.upload}`, headers: { 'content-type': 'application/xml' },
      body: `<CompleteMultipartUpload>${parts(vars.etags).map(([number, etag]) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`).join('')}</CompleteMultipartUpload>`,
    }))
  const escape = (etag) => `${etag}`.replaceAll('"', '&quot;')
  const asSent = (etags) => Object.entries(etags).map(([number, etag]) => [number, escape(etag)])

  await begin('begin', 'joined', { 'x-amz-meta-kind': 'photo', 'cache-control': 'max-age=9' })
  await part('part 1', 'joined', 1, PART)
  await part('part 2', 'joined', 2, 'tail')
  await part('part 2 again', 'joined', 2, 'the tail')
  for (const number of [0, -1, 10001, 'x', '']) await part(`part ${number}`, 'joined', number, 'x')
  const list = (name, query) => ask(name, 'GET', `/${b}/joined`, (vars) => ({ query: `uploadId=${vars.upload}${query}` }))
  await list('parts', '')
  await list('one part', '&max-parts=1')
  await list('parts after the first', '&part-number-marker=1')
  await list('parts with a wrong limit', '&max-parts=x')
  await ask('uploads', 'GET', `/${b}`, { query: 'uploads=' })
  await ask('uploads of a prefix', 'GET', `/${b}`, { query: 'uploads=&prefix=none' })
  await ask('one upload', 'GET', `/${b}`, { query: 'uploads=&max-uploads=1' })
  await ask('uploads with a delimiter', 'GET', `/${b}`, { query: 'uploads=&delimiter=%2F' })
  await ask('a bucket with uploads cannot go', 'DELETE', `/${b}`)
  await complete('complete', 'joined', asSent)
  await ask('head of what was joined', 'HEAD', `/${b}/joined`)
  await ask('an end of it', 'GET', `/${b}/joined`, { headers: { range: 'bytes=5242878-' } })
  await both('s3: its info', { path: `/object/info/${b}/joined`, bearer: service })
  await complete('complete again', 'joined', asSent)
  await part('a part too late', 'joined', 3, 'x')
  await list('parts of what is complete', '')

  await begin('begin another', 'wrong')
  await part('its part', 'wrong', 1, 'x')
  await complete('complete with no such part', 'wrong', (etags) => [...asSent(etags), [2, '&quot;x&quot;']])
  await ask('complete with no XML', 'POST', `/${b}/wrong`, (vars) => ({ query: `uploadId=${vars.upload}`, body: 'nonsense', headers: { 'content-type': 'application/xml' } }))
  await ask('copy a part', 'PUT', `/${b}/wrong`, (vars) => ({ query: `partNumber=2&uploadId=${vars.upload}`, headers: { 'x-amz-copy-source': `${b}/joined` } }))
  await ask('copy a range', 'PUT', `/${b}/wrong`, (vars) => ({ query: `partNumber=3&uploadId=${vars.upload}`, headers: { 'x-amz-copy-source': `${b}/joined`, 'x-amz-copy-source-range': 'bytes=0-9' } }))
  await ask('copy a wrong range', 'PUT', `/${b}/wrong`, (vars) => ({ query: `partNumber=4&uploadId=${vars.upload}`, headers: { 'x-amz-copy-source': `${b}/joined`, 'x-amz-copy-source-range': 'bytes=9-0' } }))
  await ask('copy a part of nothing', 'PUT', `/${b}/wrong`, (vars) => ({ query: `partNumber=5&uploadId=${vars.upload}`, headers: { 'x-amz-copy-source': `${b}/none` } }))
  await ask('parts with copies', 'GET', `/${b}/wrong`, (vars) => ({ query: `uploadId=${vars.upload}` }))
  await ask('abort', 'DELETE', `/${b}/wrong`, (vars) => ({ query: `uploadId=${vars.upload}` }))
  await ask('abort again', 'DELETE', `/${b}/wrong`, (vars) => ({ query: `uploadId=${vars.upload}` }))
  await part('a part after the abort', 'wrong', 1, 'x')
  await complete('complete after the abort', 'wrong', () => [[1, 'x']])
  await ask('no such upload', 'PUT', `/${b}/x`, { query: 'partNumber=1&uploadId=nonsense', body: 'x' })
  await ask('abort no such upload', 'DELETE', `/${b}/x`, { query: 'uploadId=nonsense' })
  await ask('begin in no bucket', 'POST', `/${bucket('none')}/x`, { query: 'uploads=', headers: { 'content-type': 'text/plain' } })
  await ask('begin with a bad key', 'POST', `/${b}/%23`, { query: 'uploads=', headers: { 'content-type': 'text/plain' } })
  await ask('uploads of no bucket', 'GET', `/${bucket('none')}`, { query: 'uploads=' })
}
