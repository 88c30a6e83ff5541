// Asks Rowhouse's auth and the reference the same, request by request, and tells where the answers differ.
//
//   node compare.mjs --ours URL --reference URL [--apikey KEY] [--only NAME] [--verbose] [--report FILE]
//
// Both serve an empty database with the settings that reference.env lists. Differences that are wanted are in
// known.mjs with the reason; any other one makes the run fail.

import path from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { compare } from '../compare.mjs'
import { Side, essence } from './sides.mjs'
import { known } from './known.mjs'

const { values: options } = parseArgs({
  options: {
    ours: { type: 'string' },
    reference: { type: 'string' },
    apikey: { type: 'string' },
    only: { type: 'string' },
    report: { type: 'string' },
    verbose: { type: 'boolean' },
  },
})
if (!options.ours || !options.reference) throw new Error('say --ours URL and --reference URL')

const sides = [new Side('ours', options.ours, options.apikey), new Side('reference', options.reference)]
const folder = path.dirname(fileURLToPath(import.meta.url))
const different = await compare({ folder, sides, essence, known, options })
process.exitCode = different > 0 ? 1 : 0
