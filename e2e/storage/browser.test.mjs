// Files in a real browser: a page on one origin, the project on another. What the browser asks before it asks, and what it
// lets the page see of the answer, decides whether an app works.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { after, before, it } from 'node:test'
import { Browser, chromium } from '../lib/chromium.mjs'
import { PASSWORD, client, email } from '../lib/client.mjs'
import { ask, png, reachableBucket } from '../lib/files.mjs'
import { Site } from '../lib/site.mjs'
import { inBothTenancies, ok } from '../lib/tenancies.mjs'

const tusClient = path.join(path.dirname(createRequire(import.meta.url).resolve('tus-js-client')), '../../dist/tus.min.js')

if (chromium) suite()
else it('needs a browser', { skip: 'Chromium is not installed (scripts/setup.sh e2e)' }, () => {})

function suite() {
  let site, browser
  before(async () => { ;[site, browser] = [await Site.listen(), await Browser.launch()] })
  after(async () => {
    await browser?.close()
    await site.close()
  })

  inBothTenancies('files in a browser', () => '', (scene) => {
    let page

    before(async () => {
      await reachableBucket(scene, 'pictures', 'owner')
      page = await browser.page(site.url)
      await page.run((url, key) => connect(url, key), scene.app.url, scene.app.anonKey)
      const { error } = await page.run((address, password) => client.auth.signUp({ email: address, password }), email('browser'), PASSWORD)
      assert.equal(error, null)
    })
    after(() => page?.close())

    it('a picture is uploaded and shown, whole and small, by signed URLs', async () => {
      const picture = png(120, 80).toString('base64')
      const shown = await page.run(async (picture) => {
        const bytes = Uint8Array.from(atob(picture), (c) => c.charCodeAt(0))
        const files = client.storage.from('pictures')
        const { error } = await files.upload('me/p.png', new File([bytes], 'p.png', { type: 'image/png' }), { cacheControl: '60', metadata: { kind: 'face' } })
        if (error) throw error
        const show = async (options) => {
          const { data, error } = await files.createSignedUrl('me/p.png', 60, options)
          if (error) throw error
          const image = new Image()
          image.src = data.signedUrl
          document.body.append(image)
          await image.decode()
          return [image.naturalWidth, image.naturalHeight]
        }
        const { data } = await files.download('me/p.png')
        return { whole: await show(), small: await show({ transform: { width: 60 } }), size: data.size, type: data.type }
      }, picture)
      assert.deepEqual(shown, { whole: [120, 80], small: [60, 40], size: Buffer.from(picture, 'base64').length, type: 'image/png' })
      await page.shot(`storage-${scene.isPooled ? 'pooled' : 'dedicated'}`)
    })

    it('every other call of the client comes through', async () => {
      const answers = await page.run(async () => {
        const files = client.storage.from('pictures')
        const good = async (call) => {
          const { data, error } = await call
          return error ? error.message : data
        }
        return {
          list: (await good(files.list('me'))).map(({ name }) => name),
          info: (await good(files.info('me/p.png'))).metadata,
          exists: await good(files.exists('me/p.png')),
          updated: (await good(files.update('me/p.png', new Blob(['x'], { type: 'text/plain' })))).path,
          copied: (await good(files.copy('me/p.png', 'me/q.png'))).path,
          moved: (await good(files.move('me/q.png', 'me/r.png'))).message,
          signed: await good(files.createSignedUploadUrl('me/s.png').then(({ data }) => files.uploadToSignedUrl('me/s.png', data.token, new Blob(['y'])))).then(({ path }) => path),
          removed: (await good(files.remove(['me/r.png', 'me/s.png']))).map(({ name }) => name).sort(),
          missing: await good(files.download('me/none')),
        }
      })
      assert.deepEqual(answers, {
        list: ['p.png'], info: { kind: 'face' }, exists: true, updated: 'me/p.png', copied: 'pictures/me/q.png', moved: 'Successfully moved',
        signed: 'me/s.png', removed: ['me/r.png', 'me/s.png'], missing: 'Object not found',
      })
      const refused = page.complaints.filter((text) => !/status of 4\d\d/.test(text))
      assert.deepEqual(refused, [])
    })

    it('a large file goes up in pieces, is stopped and goes on', async () => {
      await page.run(async (source) => void (await (0, eval)(source)), fs.readFileSync(tusClient, 'utf8'))
      const done = await page.run(async (url) => {
        const { data: { session } } = await client.auth.getSession()
        const bytes = new Uint8Array(900_000).map((_, at) => (at * 31) % 251)
        const options = {
          endpoint: `${url}/storage/v1/upload/resumable`,
          headers: { authorization: `Bearer ${session.access_token}`, 'x-upsert': 'true' },
          metadata: { bucketName: 'pictures', objectName: 'me/large', contentType: 'application/x-noise' },
          uploadDataDuringCreation: true, removeFingerprintOnSuccess: true, chunkSize: 300_000, retryDelays: null,
        }
        const first = await new Promise((resolve, reject) => {
          const upload = new tus.Upload(new Blob([bytes]), { ...options, onError: reject, onChunkComplete: () => upload.abort().then(() => resolve(upload.url), reject) })
          upload.start()
        })
        const seen = []
        await new Promise((resolve, reject) => {
          const upload = new tus.Upload(new Blob([bytes]), { ...options, uploadUrl: first, onError: reject, onSuccess: resolve, onChunkComplete: (_, sent) => seen.push(sent) })
          upload.start()
        })
        const { data } = await client.storage.from('pictures').download('me/large')
        const same = new Uint8Array(await data.arrayBuffer()).every((byte, at) => byte === bytes[at])
        return { seen, size: data.size, same }
      }, scene.app.url)
      assert.equal(done.size, 900_000)
      assert.ok(done.same)
      assert.ok(done.seen[0] >= 300_000 && done.seen.at(-1) === 900_000, `${done.seen}`)
    })

    it('preflights allow what the clients send, and answers show what they read', async () => {
      const wanted = {
        PATCH: 'apikey,authorization,content-type,tus-resumable,upload-offset,x-client-info,x-upsert',
        HEAD: 'authorization,tus-resumable,x-upsert',
        POST: 'apikey,authorization,cache-control,content-type,tus-resumable,upload-length,upload-metadata,upload-defer-length,x-metadata,x-upsert,x-signature,x-client-info',
        PUT: 'apikey,authorization,cache-control,content-type,x-client-info,x-upsert',
        DELETE: 'authorization,tus-resumable',
        GET: 'apikey,authorization,range,if-none-match,x-client-info',
      }
      const routes = ['/upload/resumable', '/upload/resumable/abc', '/upload/resumable/sign', '/object/pictures/k', '/object/list/pictures', '/s3/pictures/k', '/render/image/public/pictures/k']
      for (const route of routes) {
        for (const [method, headers] of Object.entries(wanted)) {
          const answer = await ask(scene.app, 'OPTIONS', route, {
            headers: { origin: site.url, 'access-control-request-method': method, 'access-control-request-headers': headers },
          })
          const list = (name) => answer.headers.get(name)?.toLowerCase().split(',').map((word) => word.trim()) ?? []
          assert.ok(answer.status < 300, `${method} ${route}: ${answer.status}`)
          assert.ok(['*', site.url].includes(answer.headers.get('access-control-allow-origin')), route)
          assert.ok(list('access-control-allow-methods').includes(method.toLowerCase()), `${method} ${route}: ${list('access-control-allow-methods')}`)
          const missing = headers.split(',').filter((name) => !list('access-control-allow-headers').includes(name))
          assert.deepEqual(missing, [], `${method} ${route}`)
        }
      }
      const exposed = async (method, route, options) => {
        const answer = await ask(scene.app, method, route, { ...options, headers: { origin: site.url, ...options?.headers } })
        return answer.headers.get('access-control-expose-headers')?.toLowerCase().split(',').map((word) => word.trim()) ?? []
      }
      const begun = await exposed('POST', '/upload/resumable', {
        bearer: scene.app.serviceKey,
        headers: { 'tus-resumable': '1.0.0', 'upload-length': '10', 'upload-metadata': `bucketName ${btoa('pictures')},objectName ${btoa('x')}` },
      })
      for (const name of ['location', 'upload-offset', 'upload-length', 'upload-expires', 'tus-resumable']) assert.ok(begun.includes(name), `${name} of ${begun}`)
      ok(await client(scene.app, scene.app.serviceKey).storage.from('pictures').upload('seen', 'x'))
      const read = await exposed('GET', '/object/authenticated/pictures/seen', { bearer: scene.app.serviceKey })
      assert.ok(read.includes('*') || ['etag', 'content-range', 'accept-ranges'].every((name) => read.includes(name)), `${read}`)
    })
  })
}
