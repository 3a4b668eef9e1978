// What a person may fix about a layer, in the request's own form: "keep", one technique at any level, all that is
// done to it, or techniques that are ruled out.

const KEEP = "keep";

/** The lock that holds what is done to a layer: a row's choice, or an alternative to it. */
export const lockOf = ({ technique = KEEP, params }) => (technique === KEEP ? KEEP : { treatments: params });

export const requires = (lock, technique) => lock?.technique === technique || technique in (lock?.treatments ?? {});

export const forbids = (lock, technique) => Boolean(lock?.exclude?.includes(technique));

/** Rules a technique out, or lets it in again; what was fixed otherwise is given up. */
export function toggleForbidden(lock, technique) {
  const ruledOut = lock?.exclude ?? [];
  const next = ruledOut.includes(technique) ? ruledOut.filter((name) => name !== technique) : [...ruledOut, technique];
  return next.length ? { exclude: next } : null;
}

/** Requires a technique at any level, or lets the selector choose again. */
export const toggleRequired = (lock, technique) => (requires(lock, technique) ? null : { technique, params: {} });
