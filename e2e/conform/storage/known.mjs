// Differences from the reference that are wanted, each with its reason.

const MISSING = new Set(['NoSuchBucket', 'NoSuchKey', 'Bucket not found', 'Object not found', 'not_found'])

/** [pattern of the case's name, pattern of the path in the answer, reason, further condition] */
const KNOWN = [
  [
    /public/,
    /^body.(code|error|message)$/,
    'the reference asks for bucket and object at once: which one it misses first is chance',
    ({ ours, reference }) => MISSING.has(ours) && MISSING.has(reference),
  ],
]

/** The reason of a difference, if it is a wanted one. */
export function known(name, difference) {
  const fits = ([names, paths, , condition]) =>
    names.test(name) && paths.test(difference.path) && (!condition || condition(difference))
  return KNOWN.find(fits)?.[2]
}
