// Asks Rowhouse's storage and the reference the same, request by request, and tells where the answers differ.
//
//   node compare.mjs --ours URL --reference URL --databases OURS,REFERENCE [--only NAME] [--verbose] [--report FILE]
//     [--secret SECRET --keys ID:SECRET]
//
// Both have the settings of config.toml and reference.env. The databases are where policies.sql goes (with psql). A pooled
// project has a secret and S3 keys of its own, and no policies: `,REFERENCE`. Everything but cases of users is the same there.
// Differences that are wanted are in known.mjs with the reason; any other one makes the run fail.

import path from 'node:path'
import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { compare } from '../compare.mjs'
import { Side, essence } from './sides.mjs'
import { known } from './known.mjs'

const { values: options } = parseArgs({
  options: {
    ours: { type: 'string' },
    reference: { type: 'string' },
    databases: { type: 'string' },
    only: { type: 'string' },
    report: { type: 'string' },
    verbose: { type: 'boolean' },
    secret: { type: 'string' },
    keys: { type: 'string' },
  },
})
if (!options.ours || !options.reference || !options.databases) {
  throw new Error('say --ours URL, --reference URL and --databases OURS,REFERENCE')
}

const folder = path.dirname(fileURLToPath(import.meta.url))
for (const database of options.databases.split(',').filter(Boolean)) {
  execFileSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', path.join(folder, 'policies.sql')])
}
const [id, secret] = options.keys?.split(':') ?? []
const sides = [new Side('ours', options.ours, { secret: options.secret, keys: id && { id, secret } }), new Side('reference', options.reference)]
const different = await compare({ folder, sides, essence, known, options })
for (const side of sides) side.close()
process.exitCode = different > 0 ? 1 : 0
