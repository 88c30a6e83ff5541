// Differences from the reference that are wanted, each with its reason.

const MISSING = new Set(['NoSuchBucket', 'NoSuchKey', 'Bucket not found', 'Object not found', 'not_found'])
const isText = (value) => typeof value === 'string'

/** [pattern of the case's name, pattern of the path in the answer, reason, further condition] */
const REST = [
  [
    /public/,
    /^body.(code|error|message)$/,
    'the reference asks for bucket and object at once: which one it misses first is chance',
    ({ ours, reference }) => MISSING.has(ours) && MISSING.has(reference),
  ],
  [/^(an unknown route|(PATCH|PUT|OPTIONS) on|POST to a download)/, /^headers.content-type$/, 'one content type for all JSON'],
  [/^(an unknown route|get of an upload)/, /^body.(code|statusCode)$/, 'one shape for all errors; the reference has another outside its services'],
  [/with an unknown role$/, /./, 'a mistake of the caller, not of the server'],
  [/poisoned prototype/, /./, 'Rust has no prototypes to poison'],
  [/a list as metadata/, /./, 'metadata that is no object is dropped, as all other that cannot be read'],
  [/x-robots-tag/, /^body.message$/, 'one message for all headers that are wrong', ({ ours }) => ours === 'Invalid X-Robots-Tag header'],
  [/a form cut short/, /^body.message$/, 'a form without a file, wherever it ends'],
  [/upload key (bad%|utf%)/, /./, 'the reference refuses the path before its own code sees it'],
  [/upload key (x\/\.\.|\.\.\/up|\.\/here|end\/\.\.)|to dots$/, /^body.message$/, "the reference tells its folder's name"],
  [/(too long a segment|too long a key)/, /./, 'a limit instead of an error of the file system'],
  [/in no bucket$|of an array$/, /^$/, ''],
  [/^if-none-match, (any|a list|weak)/, /./, 'RFC 9110 §13.1.2: lists, weak tags and *'],
  [/^if-range, another$/, /./, 'RFC 9110 §13.1.5: a part of another version is no part of this one', ({ ours, path }) => path !== 'status' || ours === 200],
  [/^another etag, not modified/, /./, 'RFC 9110 §13.1.3: If-None-Match counts, the date does not'],
  [/^(if-|range with its etag|s3: GET (with its|modified))/, /^headers.content-length$/, 'a 304 needs no length', ({ ours }) => ours === undefined],
  [/^save twice$/, /./, 'the first name counts'],
  [/HEAD info public/, /./, 'the reference has no such route and looks for a bucket called public'],
  [/^sign with a wrong transformation$/, /^body.message$/, 'everything that is wrong is named'],
  [/^sign an upload: a bad key$/, /./, 'a token that could never be used is not made'],
  [/^signed upload: a spoilt token$/, /^body.message$/, "the words of the reference's library"],
  [/allowed type with a charset|a type in capitals/, /./, 'types are compared without parameters and without regard to capitals, as the reference does since September 2026'],
  [/an allowed family/, /./, 'where a bucket lists types, the bytes have to be of the declared one'],
  [/too large and with a bad key/, /./, 'the key is looked at first'],
  [/with a bad key$/, /^body.(code|error|message)$/, 'who may not see the bucket hears nothing of the key', ({ ours }) => MISSING.has(ours)],
  [/^list2? (pages )?by name desc/, /./, "the reference leaves out a folder that another one's name continues (folder, folder2)"],
  [/^list by (updated|created|last_accessed)_at/, /./, 'folders stand in one order in all lists, and those that differ by case only once, as the reference shows them by name'],
  [/^list2 prefix z\//, /./, 'the folder without a name has a path of its own'],
  [/sign odd signs/, /signedURL$/, 'the key is decoded, and signed so: the token of the reference never verifies'],
  [/by GET$/, /^headers.content-type$/, 'one content type for all JSON'],
  [/^who owns what$/, /./, 'in the order of the database'],
  [/^list objects 2 without a token$/, /^body/, 'says that the header is missing, as the other lists do'],
  [/^HEAD public with a bad key$/, /content-length/, 'the length of another message'],
  [/^GET info public with a bad key$/, /^body/, 'the key is looked at first'],
  [/^head of what is saved$/, /content-disposition/, 'HEAD answers what GET would'],
  [/token$/, /^headers.tus-resumable$/, 'on every answer of the protocol'],
  [/^patch without a version$/, /^headers.tus-version$/, 'TUS 1.0.0: a 412 names the versions'],
  [/^after the end$/, /./, 'who did not hear the end of an upload is told that it is done', ({ ours, path }) => path !== 'status' || ours === 204],
  [/./, /^headers.upload-expires$/, 'the reference says so on other stores only', ({ reference }) => reference === undefined],
  [/^(create|head|signed: (create|head|once))/, /^headers.content-(type|length)$/, 'nothing has no type', ({ ours, reference }) => ours === undefined || (ours === '0' && reference === undefined)],
  [/^terminate the finished$/, /./, 'says why'],
  [/^create with dots$/, /^(body|headers.content-length)$/, "the reference tells its folder's name"],
  [/^head without a version$/, /./, 'an empty version is a wrong one'],
  [/^get of an upload$/, /./, 'one kind of error for the whole protocol'],
  [/^by another method$/, /./, 'X-HTTP-Method-Override of the protocol is honoured'],
  [/^head of nonsense$/, /./, 'what was never made is not there'],
  [/^delete with (an empty JSON|a JSON) body$/, /./, 'nobody looks at the body of such a request'],
]

/** The S3 protocol is Amazon's where the reference differs from it: clients are written for Amazon. */
const S3 = [
  [/./, /^body.Error.@$/, 'errors have no namespace there, and botocore cannot read one that has'],
  [/./, /^body.Error.Resource$/, 'the key as it is called, not as it was escaped'],
  [/^s3: (HEAD|head)/, /^headers.content-(type|length)$/, 'an error without a body describes none', ({ ours }) => ours === undefined],
  [/HEAD an empty one/, /content-length/, 'the length is known to be 0'],
  [/HEAD (with|modified|as)/, /./, 'HEAD answers what GET would'],
  [/of no bucket$/, /./, 'a key with dots is no key'],
  [/put \.\./, /^body.Error.Message$/, "the reference tells its folder's name"],
  [/wrong hash|^s3: list/, /./, 'the body has to be what was signed', ({ ours, reference, path }) => path !== 'status' || ours > reference],
  [/copy an odd key/, /./, 'the source is decoded'],
  [/copy (from no bucket|nonsense)/, /^body/, "Amazon's codes"],
  [/head of a copy with new data/, /cache-control/, 'what is not said stays'],
  [/copy if/, /./, 'conditions on the source hold'],
  [/delete quietly/, /./, 'quiet means quiet'],
  [/delete (nothing|no XML|broken XML)|no XML$/, /^body/, "Amazon's code"],
  [/delete a full bucket/, /Code$/, "Amazon's code"],
  [/region|header that is not signed/, /./, 'every header of Amazon has to be signed; list v1 tells the marker of the request'],
  [/another service|authorization AWS4/, /./, "Amazon's code"],
  [/an old date/, /./, 'a signature is good for fifteen minutes'],
  [/form /, /./, "Amazon's codes; a new object has a Location"],
  [/a method that is not there/, /./, "Amazon's code"],
  [/^s3: (get|put) (acl|policy|lifecycle|cors|website|encryption|tagging)$/, /./, 'the reference takes it for something else, and overwrites the object with tags'],
  [/part|copy a/, /etag/i, 'ETags are in quotes', ({ ours, reference }) => isText(ours) && (ours === `"${reference}"` || reference === undefined)],
  [/parts?/, /^body/, 'sizes, the marker of the request, and a part that was sent again only once'],
  [/part -1/, /Message$/, 'no number at all'],
  [/upload/, /^body/, "Amazon's names of the elements"],
  [/cannot go/, /Message$/, 'says what to do'],
  [/complete with no such part/, /^body/, "Amazon's code"],
]

/** The reason of a difference, if it is a wanted one. */
export function known(name, difference) {
  const fits = ([names, paths, , condition]) =>
    names.test(name) && paths.test(difference.path) && (!condition || condition(difference))
  return (name.startsWith('s3: ') ? [...S3, ...REST] : REST).find(fits)?.[2]
}
