// What tests of files share: bare requests, buckets as only the API makes them, S3 as the AWS SDK speaks it, pictures.

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import { S3Client } from '@aws-sdk/client-s3'
import { answering, projects } from './platform.mjs'
import { postmasters, psql, relaunch } from './program.mjs'

export const hash = (bytes) => createHash('md5').update(bytes).digest('hex')

/** A bare request to the storage; the body of the answer as JSON where it says so, else as bytes. */
export async function ask(app, method, route, { bearer, key, json, body, headers } = {}) {
  const all = { ...(key && { apikey: key }), ...(bearer && { authorization: `Bearer ${bearer}` }), ...headers }
  if (json !== undefined) all['content-type'] = 'application/json'
  const url = route.startsWith('http') ? route : `${app.url}/storage/v1${route}`
  const answer = await fetch(url, { method, headers: all, body: json === undefined ? body : JSON.stringify(json), redirect: 'manual' })
  const bytes = Buffer.from(await answer.arrayBuffer())
  const isJson = bytes.length > 0 && answer.headers.get('content-type')?.startsWith('application/json')
  return { status: answer.status, headers: answer.headers, bytes, text: bytes.toString(), body: isJson ? JSON.parse(bytes) : null }
}

/** A bucket made with the service key, with members that the client does not know (`access`). */
export async function bucketWith(app, name, settings = {}) {
  const made = await ask(app, 'POST', '/bucket', { bearer: app.serviceKey, json: { name, ...settings } })
  if (made.status !== 200) throw new Error(`no bucket ${name}: ${made.text}`)
  return name
}

/** Everything that lies in a store's folder: bodies of objects, parts, what grows. */
export function bodies(program) {
  const root = path.join(program.data ?? path.join(program.dir, '.rowhouse'), 'files')
  const files = (folder) => fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name)
    return entry.isDirectory() ? files(name) : [name]
  })
  return fs.existsSync(root) ? files(root) : []
}

/** A statement in the database that holds an app's rows, as its superuser. */
export function inDatabase({ program, isPooled }, sql) {
  const folder = isPooled ? '/system' : '/instances/'
  const { dir } = postmasters(program.dir).find(({ dir }) => dir.includes(folder))
  const [, , , port, socket] = fs.readFileSync(path.join(dir, 'postmaster.pid'), 'utf8').split('\n')
  return psql(`host=${socket} port=${port} user=supabase_admin dbname=${isPooled ? 'shard_001' : 'postgres'}`, sql)
}

/** Ends the program, kindly or not, and launches it again on the same folder. */
export async function restart(program, signal = 'SIGTERM') {
  await program.stop(signal)
  if (program.data) await answering(program.launch())
  else await relaunch(program)
}

/** An access key of the S3 protocol: made for a platform's project, known for a local stack. */
export async function s3Key({ program, app, isPooled }, ...args) {
  if (isPooled) {
    const made = await projects(program, 's3-keys', 'create', app.ref, `key-${Math.random()}`, ...args)
    return { accessKeyId: made.access_key, secretAccessKey: made.secret_key }
  }
  return { accessKeyId: '625729a08b95bf1b7ff351a663f3a23c', secretAccessKey: '850181e4652dd023b7a98c58ae0d2d34bd487ee0cc3254aed6eda37307425907' }
}

/** The published SDK. */
export function s3(app, credentials) {
  return new S3Client({ endpoint: `${app.url}/storage/v1/s3`, region: 'local', forcePathStyle: true, credentials, maxAttempts: 1 })
}

/** What an asked thing refuses with: name and status of the SDK's error, or nothing. */
export const refusedBy = (call) => call.then(() => null, (error) => `${error.$metadata?.httpStatusCode} ${error.name}`)

/** A PNG of stripes, as a program would draw it. */
export function png(width, height) {
  const row = Buffer.alloc(1 + width * 3)
  for (let at = 1; at < row.length; at += 1) row[at] = (at * 7) % 256
  const chunk = (type, data) => {
    const named = Buffer.concat([Buffer.from(type), data])
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(data.length)
    sum.writeUInt32BE(crc32(named))
    return Buffer.concat([length, named, sum])
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const pixels = deflateSync(Buffer.concat(Array(height).fill(row)))
  const mark = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  return Buffer.concat([mark, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))])
}

/** Width and height of a PNG. */
export const sizeOf = (bytes) => [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]

/** What a bucket's `access` says, as policies that its owner writes in a database of their own. */
const POLICIES = {
  owner: (bucket) => [`for all to authenticated using (bucket_id = '${bucket}' and owner_id = (select auth.uid()::text))`],
  project: (bucket) => [`for all to authenticated using (bucket_id = '${bucket}')`],
  public_read: (bucket) => [`for select to anon, authenticated using (bucket_id = '${bucket}')`, ...POLICIES.owner(bucket)],
  folder: (bucket) => [`for all to authenticated using (bucket_id = '${bucket}' and (storage.foldername(name))[1] = (select auth.uid()::text))`],
}

/** A bucket that users reach: by its access in a shard, by policies that say the same in a database of its own. */
export async function reachableBucket({ app, isPooled }, bucket, access) {
  await bucketWith(app, bucket, isPooled ? { access } : {})
  const policies = isPooled ? [] : POLICIES[access](bucket)
  for (const [at, rule] of policies.entries()) await psql(app.db, `create policy "${bucket} ${at}" on storage.objects ${rule}`)
  return bucket
}
