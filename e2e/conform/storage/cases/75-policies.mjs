// What policies of the project let through, for every kind of request.
import { ALICE, BOB, alice, anon, base64, bob, bucket, form, make, put, service } from '../people.mjs'

export default async function (both) {
  for (const kind of ['own', 'read', 'drop', 'pics', 'ops']) await make(both, kind)
  for (const kind of ['own', 'read', 'drop', 'ops']) {
    await put(both, kind, 'a.txt')
    await put(both, kind, 'a.bin')
  }
  await put(both, 'own', `${ALICE}/from-service.txt`)
  const people = { anon, alice, bob, service }
  const key = `${ALICE}/mine.txt`
  const text = { 'content-type': 'text/plain' }

  /** Everything one can do with one key, by everybody. */
  for (const [who, bearer] of Object.entries(people)) {
    const ask = (name, request) => both(`${who}: ${name}`, { bearer, ...request })
    const own = bucket('own')
    await ask('uploads to her folder', { method: 'POST', path: `/object/${own}/${key}`, headers: text, body: `by ${who}` })
    await ask('uploads again', { method: 'POST', path: `/object/${own}/${key}`, headers: text, body: `by ${who}` })
    await ask('uploads over it', { method: 'POST', path: `/object/${own}/${key}`, headers: { ...text, 'x-upsert': 'true' }, body: `over by ${who}` })
    await ask('puts over it', { method: 'PUT', path: `/object/${own}/${key}`, headers: text, body: `put by ${who}` })
    await ask('reads it', { path: `/object/authenticated/${own}/${key}` })
    await ask('reads what the service put', { path: `/object/authenticated/${own}/${ALICE}/from-service.txt` })
    await ask('heads it', { method: 'HEAD', path: `/object/authenticated/${own}/${key}` })
    await ask('asks about it', { path: `/object/info/authenticated/${own}/${key}` })
    await ask('lists her folder', { method: 'POST', path: `/object/list/${own}`, json: { prefix: ALICE } })
    await ask('lists all', { method: 'POST', path: `/object/list-v2/${own}`, json: {} })
    await ask('signs it', { method: 'POST', path: `/object/sign/${own}/${key}`, json: { expiresIn: 60 } })
    await ask('signs many', { method: 'POST', path: `/object/sign/${own}`, json: { expiresIn: 60, paths: [key, 'a.txt'] } })
    await ask('signs an upload', { method: 'POST', path: `/object/upload/sign/${own}/${ALICE}/up-${who}.txt` })
    await ask('copies it', { method: 'POST', path: '/object/copy', json: { bucketId: own, sourceKey: key, destinationKey: `${ALICE}/copy-${who}.txt` } })
    await ask('copies it to another folder', { method: 'POST', path: '/object/copy', json: { bucketId: own, sourceKey: key, destinationKey: `${BOB}/copy-${who}.txt` } })
    await ask('moves the copy', { method: 'POST', path: '/object/move', json: { bucketId: own, sourceKey: `${ALICE}/copy-${who}.txt`, destinationKey: `${ALICE}/moved-${who}.txt` } })
    await ask('moves it away', { method: 'POST', path: '/object/move', json: { bucketId: own, sourceKey: `${ALICE}/moved-${who}.txt`, destinationKey: `${BOB}/moved-${who}.txt` } })
    await ask('deletes it', { method: 'DELETE', path: `/object/${own}/${key}` })
    await ask('deletes many', { method: 'DELETE', path: `/object/${own}`, json: { prefixes: [key, `${ALICE}/moved-${who}.txt`, 'a.txt'] } })
    await ask('uploads beside', { method: 'POST', path: `/object/${own}/elsewhere-${who}.txt`, headers: text, body: 'x' })

    await ask('reads a text', { path: `/object/authenticated/${bucket('read')}/a.txt` })
    await ask('reads another type', { path: `/object/authenticated/${bucket('read')}/a.bin` })
    await ask('lists texts', { method: 'POST', path: `/object/list/${bucket('read')}`, json: { prefix: '' } })
    await ask('deletes a text', { method: 'DELETE', path: `/object/${bucket('read')}/a.txt` })
    await ask('puts over a text', { method: 'PUT', path: `/object/${bucket('read')}/a.txt`, headers: text, body: 'x' })

    await ask('drops', { method: 'POST', path: `/object/${bucket('drop')}/by-${who}`, headers: text, body: 'x' })
    await ask('drops over', { method: 'POST', path: `/object/${bucket('drop')}/by-${who}`, headers: { ...text, 'x-upsert': 'true' }, body: 'x' })
    await ask('looks at what was dropped', { path: `/object/authenticated/${bucket('drop')}/by-${who}` })
    await ask('signs a drop', { method: 'POST', path: `/object/upload/sign/${bucket('drop')}/signed-${who}` })

    const photo = { 'content-type': 'image/png', 'x-metadata': base64({ kind: 'photo' }) }
    await ask('adds a picture', { method: 'POST', path: `/object/${bucket('pics')}/${who}.png`, headers: photo, body: 'x'.repeat(500) })
    await ask('adds a large picture', { method: 'POST', path: `/object/${bucket('pics')}/large-${who}.png`, headers: photo, body: 'x'.repeat(1500) })
    await ask('adds no picture', { method: 'POST', path: `/object/${bucket('pics')}/text-${who}.png`, headers: { ...photo, 'content-type': 'text/plain' }, body: 'x' })
    await ask('adds a picture of no kind', { method: 'POST', path: `/object/${bucket('pics')}/none-${who}.png`, headers: { 'content-type': 'image/png' }, body: 'x' })
    await ask('adds a picture in a form', {
      method: 'POST', path: `/object/${bucket('pics')}/form-${who}.png`,
      ...form([{ name: 'metadata', value: '{"kind":"photo"}' }, { name: '', file: 'f', type: 'image/png', value: 'x' }]),
    })

    await ask('reads by operation', { path: `/object/authenticated/${bucket('ops')}/a.txt` })
    await ask('lists by operation', { method: 'POST', path: `/object/list/${bucket('ops')}`, json: { prefix: '' } })
    await ask('lists 2 by operation', { method: 'POST', path: `/object/list-v2/${bucket('ops')}`, json: { prefix: '' } })
    await ask('signs by operation', { method: 'POST', path: `/object/sign/${bucket('ops')}/a.txt`, json: { expiresIn: 60 } })
    await ask('signs many by operation', { method: 'POST', path: `/object/sign/${bucket('ops')}`, json: { expiresIn: 60, paths: ['a.txt'] } })
  }
  await both('who owns what', { method: 'DELETE', path: `/object/${bucket('drop')}`, bearer: service, json: { prefixes: ['by-anon', 'by-alice', 'by-service'] } })
}
