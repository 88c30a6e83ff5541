// Downloads: routes, conditions, ranges, names for saving, info, HEAD.
import { createHash } from 'node:crypto'
import { alice, anon, bucket, make, put, service } from '../people.mjs'

export default async function (both) {
  await make(both, 'priv')
  await make(both, 'pub', { public: true })
  const content = '0123456789abcdefghij'
  const etag = `"${createHash('md5').update(content).digest('hex')}"`
  for (const kind of ['priv', 'pub']) {
    await put(both, kind, 'a.txt', content, { 'x-robots-tag': 'noindex' })
    await put(both, kind, 'page.html', '<p>', { 'content-type': 'text/html; charset=utf-8' })
    await put(both, kind, 'empty', '')
    await put(both, kind, 'deep/er/x.txt')
  }
  const [priv, pub] = [bucket('priv'), bucket('pub')]

  const routes = {
    authenticated: (b, key) => `/object/authenticated/${b}/${key}`,
    plain: (b, key) => `/object/${b}/${key}`,
    public: (b, key) => `/object/public/${b}/${key}`,
    info: (b, key) => `/object/info/${b}/${key}`,
    'info authenticated': (b, key) => `/object/info/authenticated/${b}/${key}`,
    'info public': (b, key) => `/object/info/public/${b}/${key}`,
  }
  const people = { nobody: undefined, anon, alice, service }
  for (const [route, path] of Object.entries(routes)) {
    for (const method of ['GET', 'HEAD']) {
      for (const [kind, b] of [['private', priv], ['public', pub]]) {
        for (const [who, bearer] of Object.entries(people)) {
          await both(`${method} ${route} of a ${kind} one by ${who}`, { method, path: path(b, 'a.txt'), bearer })
        }
        await both(`${method} ${route} of a ${kind} one that is missing`, { method, path: path(b, 'none.txt'), bearer: service })
      }
      await both(`${method} ${route} from no bucket`, { method, path: path(bucket('none'), 'a.txt'), bearer: service })
      await both(`${method} ${route} with a bad key`, { method, path: path(priv, '%E2%82%AC'), bearer: service })
    }
    await both(`${route} of HTML`, { path: path(pub, 'page.html'), bearer: service })
    await both(`${route} of nothing`, { path: path(pub, 'empty'), bearer: service })
    await both(`${route} of a folder`, { path: path(pub, 'deep/er'), bearer: service })
    await both(`${route} of a folder with a slash`, { path: path(pub, 'deep/'), bearer: service })
  }

  const get = (name, headers, method = 'GET', key = 'a.txt') =>
    both(`${name}${method === 'GET' ? '' : ` (${method})`}`, { method, path: routes.public(pub, key), headers })
  const past = 'Mon, 01 Jan 2001 00:00:00 GMT'
  const future = 'Fri, 01 Jan 2100 00:00:00 GMT'
  for (const method of ['GET', 'HEAD']) {
    await get('if-none-match, the same', { 'if-none-match': etag }, method)
    await get('if-none-match, another', { 'if-none-match': '"x"' }, method)
    await get('if-none-match, any', { 'if-none-match': '*' }, method)
    await get('if-none-match, a list', { 'if-none-match': `"x", ${etag}` }, method)
    await get('if-none-match, weak', { 'if-none-match': `W/${etag}` }, method)
    await get('if-modified-since, past', { 'if-modified-since': past }, method)
    await get('if-modified-since, future', { 'if-modified-since': future }, method)
    await get('if-modified-since, nonsense', { 'if-modified-since': 'yesterday' }, method)
    await get('another etag, not modified', { 'if-none-match': '"x"', 'if-modified-since': future }, method)
    await get('if-match, another', { 'if-match': '"x"' }, method)
  }
  const ranges = [
    'bytes=0-4', 'bytes=5-', 'bytes=-3', 'bytes=0-0', 'bytes=19-19', 'bytes=15-100', 'bytes=20-', 'bytes=-0', 'bytes=-100', 'bytes=5-2', 'bytes=0-1,3-4', 'bytes=a-b',
    'bytes=', 'bytes', '0-4', 'lines=0-4', 'bytes= 0-4', 'bytes=0-99999999999999999999', 'Bytes=0-4',
  ]
  for (const range of ranges) await get(`range ${range}`, { range })
  await get('range of nothing', { range: 'bytes=0-1' }, 'GET', 'empty')
  await get('range with HEAD', { range: 'bytes=0-4' }, 'HEAD')
  await get('range with its etag', { range: 'bytes=0-4', 'if-none-match': etag })
  await get('if-range, the same', { range: 'bytes=0-4', 'if-range': etag })
  await get('if-range, another', { range: 'bytes=0-4', 'if-range': '"x"' })

  const names = ['', 'name.txt', 'with%20space.txt', '%E2%82%AC.txt', 'quote%22.txt', 'a%2Fb', 'semi%3B.txt', "it's(1).txt", 'new%0Aline']
  for (const name of names) await both(`save as ${name}`, { path: `${routes.public(pub, 'a.txt')}?download=${name}` })
  await both('save without a value', { path: `${routes.public(pub, 'a.txt')}?download` })
  await both('save twice', { path: `${routes.public(pub, 'a.txt')}?download=a&download=b` })
  await both('save privately', { path: `${routes.authenticated(priv, 'a.txt')}?download=x.txt`, bearer: service })
  await both('head of what is saved', { method: 'HEAD', path: `${routes.public(pub, 'a.txt')}?download=x.txt` })
  await both('other parameters', { path: `${routes.public(pub, 'a.txt')}?cacheNonce=1&version=2` })
  await both('POST to a download', { method: 'POST', path: routes.public(pub, 'a.txt'), bearer: service, json: {} })
}
