// Asks Rowhouse's auth and the reference the same, request by request, and tells where the answers differ.
//
//   node compare.mjs --ours URL --reference URL [--apikey KEY] [--only NAME] [--verbose] [--report FILE]
//
// Both serve an empty database with the settings that reference.env lists. Differences that are wanted are in
// known.mjs with the reason; any other one makes the run fail.

import fs from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { Side, differences, essence } from './sides.mjs'
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
const results = []

/** One request to both. `request` makes it from what the side remembers; `keep` remembers from the answer. */
async function both(name, request, keep) {
  const found = []
  for (const side of sides) {
    const wanted = typeof request === 'function' ? await request(side.vars, side) : request
    const answer = await side.ask(wanted)
    if (keep) await keep(side.vars, answer.body, answer)
    found.push({ answer, essence: essence(answer, side) })
  }
  const all = differences(found[0].essence, found[1].essence)
  const reasons = all.map((difference) => known(name, difference))
  const unknown = all.filter((_, at) => !reasons[at])
  results.push({ name, differences: all.map((difference, at) => ({ ...difference, reason: reasons[at] })) })
  if (unknown.length > 0 || options.verbose) {
    console.log(`${unknown.length > 0 ? 'DIFFERS' : 'same   '} ${name}`)
    for (const { path, ours, reference } of unknown) {
      console.log(`    ${path}\n        ours      ${JSON.stringify(ours)}\n        reference ${JSON.stringify(reference)}`)
    }
  }
}

const here = path.dirname(fileURLToPath(import.meta.url))
const files = fs.readdirSync(path.join(here, 'cases')).filter((name) => name.endsWith('.mjs')).sort()
for (const file of files) {
  if (options.only && !file.includes(options.only)) continue
  const { default: run } = await import(path.join(here, 'cases', file))
  await run(both, sides)
}

const count = (test) => results.filter(test).length
const isUnknown = (result) => result.differences.some(({ reason }) => !reason)
const summary = {
  requests: results.length,
  same: count(({ differences }) => differences.length === 0),
  known: count((result) => result.differences.length > 0 && !isUnknown(result)),
  different: count(isUnknown),
}
console.log(JSON.stringify(summary))
if (options.report) fs.writeFileSync(options.report, JSON.stringify(results.filter(({ differences }) => differences.length > 0), null, 2))
process.exitCode = summary.different > 0 ? 1 : 0
