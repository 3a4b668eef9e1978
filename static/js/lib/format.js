// Every number on every page is written here, so that it reads the same everywhere.
// At most two significant digits on a prediction, three on a measurement.

const MINUS = "−";
const EMPTY = "–";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

const grouped = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

/** A number with that many significant digits, without exponents: 0.0123 -> "0.012". */
export function significant(value, digits) {
  if (!isNumber(value)) return EMPTY;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 0.005) return "<0.01";
  const exponent = Math.floor(Math.log10(size));
  const decimals = Math.min(Math.max(0, digits - 1 - exponent), 4);
  const rounded = Number(size.toPrecision(Math.max(1, Math.min(digits, exponent + 1 + decimals))));
  const text = rounded >= 1000 ? grouped(rounded) : rounded.toFixed(decimalsOf(rounded, digits, decimals));
  return value < 0 ? MINUS + text : text;
}

/* Rounding may carry into the next decade (9.96 -> 10): then one decimal fewer is shown. */
function decimalsOf(rounded, digits, decimals) {
  const exponent = Math.floor(Math.log10(rounded) + 1e-12);
  return Math.min(decimals, Math.max(0, digits - 1 - exponent));
}

/** A predicted value: two significant digits. */
export const predicted = (value) => significant(value, 2);

/** A measured value: three significant digits. */
export const measured = (value) => significant(value, 3);

const MICRO_BELOW_MS = 1;

/**
 * How the times of layers are told, by how long whole networks take: {isMicro, unit, show}. The layers of those that
 * are done in less than a millisecond would often read "<0.01": they are told in microseconds.
 */
export function layerTimes(...totalsMs) {
  const isMicro = totalsMs.every((ms) => isNumber(ms) && ms < MICRO_BELOW_MS);
  return isMicro ? { isMicro, unit: "µs", show: (ms) => predicted(1000 * ms) } : { isMicro, unit: "ms", show: predicted };
}

/** How many times smaller or faster: "8.4×". */
export const ratio = (value) => (isNumber(value) ? `${predicted(value)}×` : EMPTY);

/** The same for a measured ratio: "1.27×". */
export const measuredRatio = (value) => (isNumber(value) ? `${measured(value)}×` : EMPTY);

/** File sizes in powers of ten: "1.84 MB", "48 kB", "312 B". */
export function bytes(value) {
  if (!isNumber(value)) return EMPTY;
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} GB`;
  if (value >= 999_500) return `${(value / 1e6).toFixed(value >= 99_950_000 ? 0 : value >= 9_995_000 ? 1 : 2)} MB`;
  if (value >= 1000) return `${(value / 1e3).toFixed(value < 99_950 ? 1 : 0)} kB`;
  return `${Math.round(value)} B`;
}

const unitOf = (text) => text.split(" ")[1];

/** Two sizes, the unit once when they share it: "1.23–1.30 MB". */
export function bytesRange(low, high) {
  const [from, to] = [bytes(low), bytes(high)];
  return unitOf(from) === unitOf(to) ? `${from.split(" ")[0]}–${to}` : `${from}–${to}`;
}

/** Exact bytes for downloads: "54,321 bytes". */
export const exactBytes = (value) => (isNumber(value) ? `${grouped(value)} bytes` : EMPTY);

/** Counts with an SI prefix: "14.98 M", "61.7 k", "512". */
export function count(value) {
  if (!isNumber(value)) return EMPTY;
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} G`;
  if (value >= 999_500) return `${(value / 1e6).toFixed(value >= 99_950_000 ? 0 : value >= 9_995_000 ? 1 : 2)} M`;
  if (value >= 1000) return `${(value / 1e3).toFixed(value >= 99_950 ? 0 : 1)} k`;
  return String(Math.round(value));
}

/** Whole numbers with thousands: "10,000". */
export const whole = (value) => (isNumber(value) ? grouped(value) : EMPTY);

/** A change with its sign, true minus: "−0.5", "+0.2", "0.0" where nothing changed. */
export function signed(value, digits = 1) {
  if (!isNumber(value)) return EMPTY;
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value > 0 ? "+" : MINUS) + text;
}

/** A fraction as percent: 0.9213 -> "92.1 %". */
export const percent = (fraction, digits = 1) => (isNumber(fraction) ? `${(fraction * 100).toFixed(digits)} %` : EMPTY);

/** A range with an en dash: "2.6–4.3". */
export const range = (low, high, show = predicted) => `${show(low)}–${show(high)}`;

/** Seconds in words: "4 s", "2 min 10 s", "1 h 5 min". */
export function duration(seconds) {
  if (!isNumber(seconds)) return EMPTY;
  if (seconds < 1) return "under 1 s";
  const total = Math.round(seconds);
  if (total < 60) return `${total} s`;
  if (total < 3600) {
    const rest = total % 60;
    return rest ? `${Math.floor(total / 60)} min ${rest} s` : `${total / 60} min`;
  }
  const minutes = Math.round((total % 3600) / 60);
  return minutes ? `${Math.floor(total / 3600)} h ${minutes} min` : `${Math.floor(total / 3600)} h`;
}

/** What is left, as a range: "9–14 min left". */
export function timeLeft(low, high) {
  if (!isNumber(low) || !isNumber(high)) return "";
  return high < 60 && low < 1 && high < 2 ? "almost done" : `${timeSpan(low, high)} left`;
}

/** A range of seconds in words: "9–14 min", "4–8 h". */
export function timeSpan(low, high) {
  if (high < 60) return spread(low, high, 1, "s");
  return high < 7200 ? spread(low, high, 60, "min") : spread(low, high, 3600, "h");
}

function spread(low, high, unit, name) {
  const from = Math.max(unit === 1 ? 1 : 0, Math.floor(low / unit));
  const to = Math.max(1, Math.ceil(high / unit));
  if (from === 0) return `under ${to} ${name}`;
  return from === to ? `about ${to} ${name}` : `${from}–${to} ${name}`;
}

/** When something was last changed: "just now", "12 min ago", "2 h ago", "yesterday", "12 Nov". */
export function ago(iso, now = Date.now()) {
  const then = new Date(iso);
  const seconds = (now - then.getTime()) / 1000;
  if (Number.isNaN(seconds)) return "";
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 172_800) return "yesterday";
  return then.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

/** Clock time of an event: "14:23:02". */
export function clock(value) {
  const date = typeof value === "number" ? new Date(value * 1000) : new Date(value);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleTimeString("en-GB");
}

/** First and last characters of a hash: "7b1e…a26f". */
export const shortHash = (hash) => (hash ? `${hash.slice(0, 4)}…${hash.slice(-4)}` : EMPTY);
