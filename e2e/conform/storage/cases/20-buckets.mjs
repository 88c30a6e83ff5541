// Buckets: names, limits, types, listing, change, removal.
import { RUN, alice, anon, bucket, keeper, make, put, service } from '../people.mjs'

const as = (bearer, method, path, json) => ({ method, path, bearer, json })

export default async function (both) {
  const create = (name, json, bearer = service) => both(name, as(bearer, 'POST', '/bucket', json))

  const names = ['', ' ', ' lead', 'trail ', 'a/b', 'ä', 'x\ny', 'tick`', '#', 'per%cent', 'back\\slash', 'b--table-s3', 'x'.repeat(101), '..', '[b]']
  for (const name of names) await create(`create bucket ${JSON.stringify(name).slice(0, 20)}`, { name })
  const good = ["odd!.*'()", 'with space', 'and&$=@;:+,?', 'Big', '_', 'x'.repeat(100 - RUN.length - 1)]
  for (const name of good) {
    await create(`create bucket ${name.slice(0, 20)}`, { name: bucket(name) })
    await both(`get bucket ${name.slice(0, 20)}`, as(service, 'GET', `/bucket/${encodeURIComponent(bucket(name))}`))
    await both(`delete bucket ${name.slice(0, 20)}`, as(service, 'DELETE', `/bucket/${encodeURIComponent(bucket(name))}`))
  }
  await create('create without a name', {})
  await create('a name that is a number', { name: 12 })
  await create('a name that is null', { name: null })
  await create('a name that is a list', { name: ['a'] })

  // They do not end with the name of the run.
  for (const name of ['12', 'a', '..']) await both(`remove bucket ${name}`, as(service, 'DELETE', `/bucket/${name}`))

  await create('create plain', { name: bucket('plain') })
  await create('create plain again', { name: bucket('plain') })
  await create('create with another id', { name: bucket('shown'), id: bucket('hidden') })
  await both('get by the id', as(service, 'GET', `/bucket/${bucket('hidden')}`))
  await both('get by the name', as(service, 'GET', `/bucket/${bucket('shown')}`))
  await create('the same name with a third id', { name: bucket('shown'), id: bucket('third') })
  await create('public', { name: bucket('public'), public: true })
  await create('public as text', { name: bucket('public2'), public: 'true' })
  await create('public as nonsense', { name: bucket('public3'), public: 'maybe' })
  await create('of an unknown type', { name: bucket('typed'), type: 'TABLE' })
  await create('of the standard type', { name: bucket('typed2'), type: 'STANDARD' })
  await create('as an owner', { name: bucket('owned') }, keeper)
  await both('get what is owned', as(service, 'GET', `/bucket/${bucket('owned')}`))

  const sizes = [0, 1, 1000, -1, 1.5, '1000', '10kb', '1MB', '1.5mb', '20 B', '3GB', '900GB', 'big', '', '10', '5 mb', '1e3', '1kib', true, null, [1], 2 ** 53]
  for (const size of sizes) {
    const kind = `size${sizes.indexOf(size)}`
    await create(`file_size_limit ${JSON.stringify(size)}`, { name: bucket(kind), file_size_limit: size })
    await both(`its size limit ${JSON.stringify(size)}`, as(service, 'GET', `/bucket/${bucket(kind)}`))
  }
  const types = [
    [], ['image/png'], ['image/*'], ['*'], ['*/*'], ['text/plain; charset=utf-8'], ['nonsense'], ['a/b/c'], ['image/png', ''], [null], 'image/png', null,
    ['IMAGE/PNG'], ['image/png, image/jpeg'], ['x'.repeat(1001)], [7], ['image/svg+xml', 'application/vnd.ms-excel'],
  ]
  for (const [at, type] of types.entries()) {
    await create(`allowed_mime_types ${JSON.stringify(type).slice(0, 40)}`, { name: bucket(`type${at}`), allowed_mime_types: type })
    await both(`its types ${JSON.stringify(type).slice(0, 40)}`, as(service, 'GET', `/bucket/${bucket(`type${at}`)}`))
  }

  const query = (text) => `/bucket?search=${RUN}&${text}`
  for (const text of [
    'sortColumn=id', 'sortColumn=name&sortOrder=desc', 'sortColumn=created_at&limit=3', 'sortColumn=created_at&sortOrder=desc&limit=2&offset=1',
    'sortColumn=updated_at&limit=1', 'sortColumn=id&offset=1000', 'sortColumn=owner', 'sortColumn=id&sortOrder=up', 'limit=0', 'limit=x', 'offset=-1',
    'sortColumn=id&limit=2&more=1',
  ]) await both(`list buckets, ${text}`, as(service, 'GET', query(text)))
  await both('search with %', as(service, 'GET', '/bucket?search=%25&sortColumn=id'))
  await both('search with _', as(service, 'GET', `/bucket?search=_-${RUN}&sortColumn=id`))
  await both('search in capitals', as(service, 'GET', `/bucket?search=PLAIN-${RUN.toUpperCase()}&sortColumn=id`))
  await both('an old client lists', { path: query('sortColumn=id&limit=1'), bearer: service, headers: { 'x-client-info': 'supabase-py/2.17.0' } })
  await both('a new client lists', { path: query('sortColumn=id&limit=1'), bearer: service, headers: { 'x-client-info': 'supabase-py/2.18.0' } })
  await both('an old storage3 lists', { path: query('sortColumn=id&limit=1'), bearer: service, headers: { 'x-client-info': 'storage3/0.12.0' } })
  await both('anon lists', as(anon, 'GET', query('sortColumn=id')))
  await both('a keeper lists', as(keeper, 'GET', query('sortColumn=id&limit=2')))

  const path = `/bucket/${bucket('plain')}`
  const change = (name, json, bearer = service, where = path) => both(name, as(bearer, 'PUT', where, json))
  await change('no change', {})
  await change('make public', { public: true })
  await change('limit size and types', { file_size_limit: '2MB', allowed_mime_types: ['text/*'] })
  await both('get changed', as(service, 'GET', path))
  await change('clear', { file_size_limit: null, allowed_mime_types: null, public: false })
  await both('get cleared', as(service, 'GET', path))
  await change('a wrong size', { file_size_limit: 'huge' })
  await change('a wrong type', { allowed_mime_types: ['no type'] })
  await change('too large a size', { file_size_limit: '900GB' })
  await change('public as nonsense', { public: 'x' })
  await change('change of a missing bucket', { public: true }, service, `/bucket/${bucket('none')}`)
  await change('anon changes', { public: true }, anon)
  await change('alice changes', { public: true }, alice)
  await change('a keeper changes', { public: true }, keeper)
  await create('a keeper makes a private one', { name: bucket('kept') }, keeper)
  await create('a keeper makes a public one', { name: bucket('kept2'), public: true }, keeper)
  await create('alice makes one', { name: bucket('alice') }, alice)

  await make(both, 'full')
  await put(both, 'full', 'a.txt')
  await put(both, 'full', 'b/c.txt')
  const full = `/bucket/${bucket('full')}`
  await both('delete a full bucket', as(service, 'DELETE', full))
  await both('anon deletes a bucket', as(anon, 'DELETE', full))
  await both('alice empties a bucket', as(alice, 'POST', `${full}/empty`))
  await both('empty a bucket', as(service, 'POST', `${full}/empty`))
  await both('nothing is left', as(service, 'POST', `/object/list/${bucket('full')}`, { prefix: '' }))
  await both('empty an empty bucket', as(service, 'POST', `${full}/empty`))
  await both('delete an empty bucket', as(service, 'DELETE', full))
  await both('delete it again', as(service, 'DELETE', full))
  await both('get what is deleted', as(service, 'GET', full))
  await both('empty what is deleted', as(service, 'POST', `${full}/empty`))
  await both('get a bucket with a bad name', as(service, 'GET', '/bucket/b%C3%A4d'))
  await both('delete a bucket with a bad name', as(service, 'DELETE', '/bucket/b%C3%A4d'))
  await both('delete with a body', { method: 'DELETE', path: full, bearer: service, json: {} })
  await both('delete with an empty JSON body', { method: 'DELETE', path: full, bearer: service, headers: { 'content-type': 'application/json' }, body: '' })
}
