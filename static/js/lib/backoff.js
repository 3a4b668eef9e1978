// How long to wait before the next try: doubling from half a second to half a minute, with jitter so
// that a thousand pages do not come back in the same second.
export function backoff(attempt, random = Math.random) {
  const ceiling = Math.min(30_000, 500 * 2 ** Math.min(attempt, 10));
  return ceiling / 2 + random() * (ceiling / 2);
}

/** At most one call in `interval` ms; the last arguments win and are never lost. */
export function throttle(send, interval, clock = { now: () => performance.now(), later: (call, ms) => setTimeout(call, ms) }) {
  let last = -Infinity;
  let waiting = null;
  let pending = false;
  const flush = () => {
    pending = false;
    last = clock.now();
    send(...waiting);
  };
  return (...args) => {
    waiting = args;
    if (pending) return;
    const wait = last + interval - clock.now();
    if (wait <= 0) return flush();
    pending = true;
    clock.later(flush, wait);
  };
}
