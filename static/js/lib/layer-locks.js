// What a person may fix about a layer, in the request's own form: "keep", one technique with its level,
// or techniques that are ruled out.

const KEEP = "keep";

/**
 * The lock that holds a row's choice. The request can fix one technique with its level; of stacked ones
 * it can only rule out all others.
 */
export function lockOf(row, techniques) {
  const used = String(row.technique ?? KEEP).split("+");
  if (used[0] === KEEP) return KEEP;
  if (used.length > 1) return { exclude: techniques.filter((name) => !used.includes(name)) };
  return { technique: used[0], params: row.params?.[used[0]] ?? {} };
}

export const requires = (lock, technique) => lock?.technique === technique;

export const forbids = (lock, technique) => Boolean(lock?.exclude?.includes(technique));

/** Rules a technique out, or lets it in again; what was fixed otherwise is given up. */
export function toggleForbidden(lock, technique) {
  const ruledOut = lock?.exclude ?? [];
  const next = ruledOut.includes(technique) ? ruledOut.filter((name) => name !== technique) : [...ruledOut, technique];
  return next.length ? { exclude: next } : null;
}

/** Requires a technique at any level, or lets the selector choose again. */
export const toggleRequired = (lock, technique) => (requires(lock, technique) ? null : { technique, params: {} });
