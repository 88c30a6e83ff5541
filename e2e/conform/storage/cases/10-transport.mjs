// What holds for every request: who may ask, routes, methods, JSON bodies.
import { RUN, anon, bearers, bucket, make, put, service } from '../people.mjs'

export default async function (both) {
  await make(both, 'door')
  await make(both, 'opendoor', { public: true })
  await put(both, 'door', 'a.txt')
  await put(both, 'opendoor', 'a.txt')
  const [closed, open] = [bucket('door'), bucket('opendoor')]

  const routes = {
    'list buckets': { path: `/bucket?search=door-${RUN}&sortColumn=id` },
    'get a bucket': { path: `/bucket/${closed}` },
    'create a bucket': { method: 'POST', path: '/bucket', json: { name: bucket('never') } },
    'empty a bucket': { method: 'POST', path: `/bucket/${closed}/empty` },
    'list objects': { method: 'POST', path: `/object/list/${closed}`, json: { prefix: '' } },
    'list objects 2': { method: 'POST', path: `/object/list-v2/${closed}`, json: { prefix: '' } },
    upload: { method: 'POST', path: `/object/${closed}/new.txt`, body: 'x', headers: { 'content-type': 'text/plain' } },
    'download with a token': { path: `/object/authenticated/${closed}/a.txt` },
    'download leniently': { path: `/object/${closed}/a.txt` },
    'download leniently from a public bucket': { path: `/object/${open}/a.txt` },
    'download openly': { path: `/object/public/${open}/a.txt` },
    info: { path: `/object/info/${closed}/a.txt` },
    'info with a token': { path: `/object/info/authenticated/${closed}/a.txt` },
    sign: { method: 'POST', path: `/object/sign/${closed}/a.txt`, json: { expiresIn: 60 } },
    'sign an upload': { method: 'POST', path: `/object/upload/sign/${closed}/b.txt` },
    copy: { method: 'POST', path: '/object/copy', json: { bucketId: closed, sourceKey: 'a.txt', destinationKey: 'c.txt' } },
    move: { method: 'POST', path: '/object/move', json: { bucketId: closed, sourceKey: 'none.txt', destinationKey: 'c.txt' } },
    'delete one': { method: 'DELETE', path: `/object/${closed}/none.txt` },
    'delete many': { method: 'DELETE', path: `/object/${closed}`, json: { prefixes: ['none.txt'] } },
    health: { path: '/health' },
    'resumable upload': { method: 'POST', path: '/upload/resumable', headers: { 'tus-resumable': '1.0.0', 'upload-length': '1', 'upload-metadata': '' } },
  }
  for (const [name, request] of Object.entries(routes)) {
    await both(`${name} without a token`, request)
    await both(`${name} with no token`, { ...request, bearer: bearers['no token'] })
    await both(`${name} as anon`, { ...request, bearer: anon })
  }
  for (const [name, bearer] of Object.entries(bearers)) {
    await both(`list buckets with ${name}`, { ...routes['list buckets'], bearer })
    await both(`upload with ${name}`, { ...routes.upload, bearer })
    await both(`download leniently with ${name}`, { ...routes['download leniently from a public bucket'], bearer })
  }
  await both('basic credentials', { path: '/bucket', headers: { authorization: 'Basic eDp5' } })
  await both('a bearer in capitals', { path: `/bucket?search=opendoor-${RUN}`, headers: { authorization: `BEARER ${service}` } })
  await both('only an apikey', { path: '/bucket', headers: { apikey: service } })

  await both('status', { path: '/status' })
  await both('health of the service', { path: '/health', bearer: service })
  const nowhere = ['/nowhere', '/bucket/a/b', '/object', '/object/', '/object/list', '/object/sign', '/object/public', '/s4', '/upload', '/render/image']
  for (const path of nowhere) await both(`an unknown route: ${path}`, { path, bearer: service })
  for (const method of ['PATCH', 'OPTIONS', 'PUT']) await both(`${method} on buckets`, { method, path: '/bucket', bearer: service })
  await both('a slash after bucket', { path: `/bucket/?search=opendoor-${RUN}`, bearer: service })

  const bodies = {
    'not JSON': { body: '{"name":', headers: { 'content-type': 'application/json' } },
    'an empty body': { body: '', headers: { 'content-type': 'application/json' } },
    'an array': { json: [] },
    'a number': { json: 7 },
    'null': { json: null },
    'no type': { body: '{"name":"x"}' },
    'text': { body: 'name', headers: { 'content-type': 'text/plain' } },
    'a form': { body: 'name=x', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    'too much': { body: JSON.stringify({ name: 'x'.repeat(1_100_000) }), headers: { 'content-type': 'application/json' } },
    'a poisoned prototype': { body: '{"__proto__":{"name":"x"}}', headers: { 'content-type': 'application/json' } },
    'unknown fields': { json: { prefix: '', limit: 1, more: { a: 1 } } },
  }
  for (const [name, body] of Object.entries(bodies)) {
    await both(`create a bucket with ${name}`, { method: 'POST', path: '/bucket', bearer: service, ...body, ...(name === 'unknown fields' && { json: { name: '', more: 1 } }) })
    await both(`list with ${name}`, { method: 'POST', path: `/object/list/${closed}`, bearer: service, ...body })
  }
}
