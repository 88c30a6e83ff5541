// Listings: folders, orders, search, limits, cursors.
import { alice, anon, bucket, make, put, service } from '../people.mjs'

const KEYS = [
  'a.txt', 'B1.txt', 'b.txt', 'c/1.txt', 'c/2.txt', 'c/d/3.txt', 'c.txt', 'C/4.txt', 'under_score', 'underXscore', 'folder/x', 'folder2/y', 'z//double', '_first', 'Upper/Case/File.TXT',
  'e/.emptyFolderPlaceholder', '10', '9', 'space here',
]

export default async function (both) {
  await make(both, 'list')
  for (const key of KEYS) await put(both, 'list', encodeURI(key), key.endsWith('Placeholder') ? '' : undefined)
  const list = (name, json, kind = 'list', bearer = service) => both(`list ${name}`, { method: 'POST', path: `/object/list/${bucket(kind)}`, bearer, json })
  const list2 = (name, json, kind = 'list', bearer = service) => both(`list2 ${name}`, { method: 'POST', path: `/object/list-v2/${bucket(kind)}`, bearer, json })

  for (const prefix of ['', 'c', 'c/', 'C', '/', 'c/d', 'none', 'z', 'z/', 'Upper', 'upper', 'folder', '../', 'per%']) await list(`prefix ${prefix}`, { prefix })
  for (const column of ['name', 'updated_at', 'created_at', 'last_accessed_at']) {
    for (const order of ['asc', 'desc']) await list(`by ${column} ${order}`, { prefix: '', sortBy: { column, order } })
    await list(`by ${column} in part`, { prefix: '', limit: 4, offset: 3, sortBy: { column, order: 'asc' } })
  }
  await list('by default order', { prefix: '', sortBy: { column: 'name' } })
  await list('by an unknown column', { prefix: '', sortBy: { column: 'size', order: 'asc' } })
  await list('by an unknown order', { prefix: '', sortBy: { column: 'name', order: 'up' } })
  await list('by nothing', { prefix: '', sortBy: {} })
  for (const search of ['b', 'B', 'c', 'under_', 'under%', '.txt', 'f', 'zz', '']) await list(`search ${search}`, { prefix: '', search })
  await list('search in a folder', { prefix: 'c', search: '1' })
  await list('search across folders', { prefix: '', search: 'c/1' })
  for (const limit of [0, 1, 3, 100, 100000, -1, 'x', '5', null]) await list(`limit ${limit}`, { prefix: '', limit })
  for (const offset of [0, 2, 1000, -1, 'x']) await list(`offset ${offset}`, { prefix: '', offset })
  await list('without a prefix', {})
  await list('prefix null', { prefix: null })
  await list('a missing bucket', { prefix: '' }, 'none')
  await list('as anon', { prefix: '' }, 'list', anon)
  await list('as alice', { prefix: '' }, 'list', alice)

  for (const prefix of ['', 'c', 'c/', 'C', 'c/d', 'none', 'z', 'z/', 'under_', 'under%']) {
    await list2(`prefix ${prefix}`, { prefix })
    await list2(`prefix ${prefix} with delimiter`, { prefix, with_delimiter: true })
  }
  for (const column of ['name', 'updated_at', 'created_at']) {
    for (const order of ['asc', 'desc']) {
      await list2(`by ${column} ${order}`, { prefix: '', sortBy: { column, order } })
      await list2(`by ${column} ${order} with delimiter`, { prefix: '', with_delimiter: true, sortBy: { column, order } })
      for (const delimiter of [false, true]) {
        const name = `list2 pages by ${column} ${order}${delimiter ? ' with delimiter' : ''}`
        const keep = (vars, body) => { vars.cursor = body.nextCursor }
        const page = (vars) => ({
          method: 'POST', path: `/object/list-v2/${bucket('list')}`, bearer: service,
          json: { prefix: '', limit: 5, with_delimiter: delimiter, sortBy: { column, order }, ...(vars.cursor && { cursor: vars.cursor }) },
        })
        for (const side of ['first', 'second', 'third']) await both(`${name}: the ${side}`, page, keep)
        await both(`${name}: forget`, (vars) => { delete vars.cursor; return { path: '/status' } })
      }
    }
  }
  await list2('by last_accessed_at', { prefix: '', sortBy: { column: 'last_accessed_at', order: 'asc' } })
  await list2('by an unknown order', { prefix: '', sortBy: { column: 'name', order: 'up' } })
  for (const limit of [0, 1, 1000, 1001, -1, 'x']) await list2(`limit ${limit}`, { prefix: '', limit })
  await list2('nothing said', {})
  for (const cursor of ['', 'nonsense', Buffer.from('l:b.txt').toString('base64'), Buffer.from('x:y').toString('base64'), Buffer.from('l:b.txt\no:desc\nc:name').toString('base64')]) {
    await list2(`cursor ${cursor}`, { prefix: '', limit: 3, cursor })
  }
  await list2('a missing bucket', { prefix: '' }, 'none')
  await list2('as anon', { prefix: '' }, 'list', anon)
}
