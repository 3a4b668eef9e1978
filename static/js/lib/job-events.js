// The events of a job in order: no one twice, none missed; what they add up to.
import { signed } from "./format.js";

const LEARNING = ({ episode, reward, gap, epsilon }) => `Episode ${episode}${reward === undefined ? "" : `, reward ${signed(reward, 2).replace("+", "")}`}${gap === undefined || gap === null ? "" : `, gap ${(gap * 100).toFixed(2)} %`}${epsilon === undefined ? "" : `, exploring ${(epsilon * 100).toFixed(0)} %`}`;
const RECOVERING = ({ step, total, epoch, accuracy, learning_rate: rate }) =>
  `${epoch === undefined ? `Step ${step}${total ? ` of ${total}` : ""}` : `Epoch ${epoch}`}${accuracy === undefined || accuracy === null ? "" : `: ${(accuracy * 100).toFixed(1)} %`}${rate ? `, learning rate ${Number(rate.toPrecision(2))}` : ""}`;
/* A selector that was asked for by name may learn in RECOVER, before anything is fine-tuned. */
const isLearning = ({ episode }) => episode !== undefined;
const EVERY_NTH_METRIC = 10;

export class JobEvents {
  constructor() {
    this.last = 0;
    this.gap = false;
    this.best = null;
    this.candidates = new Map();
    this.interrupted = false;
    this.latest = new Map();
    this.metrics = 0;
    this.line = this.line.bind(this);
  }

  /** Keeps what comes next, drops what came before; sets `gap` when something is missing between. */
  take(events) {
    const fresh = [];
    for (const event of events) {
      if (event.seq <= this.last) continue;
      if (event.seq > this.last + 1 && this.last > 0) {
        this.gap = true;
        break;
      }
      this.gap = false;
      this.last = event.seq;
      this.note(event);
      fresh.push(event);
    }
    return fresh;
  }

  note(event) {
    if (event.total) this.noteProgress(event);
    if (event.kind === "candidate" && event.data?.latency_ms !== undefined) {
      this.candidates.set(event.data.id, event.data);
      if (isBetter(event.data, this.best)) this.best = event.data;
    }
    if (event.kind === "log" && /worker (restarted|went silent|was lost)|went on from/i.test(event.data?.text ?? "")) this.interrupted = true;
  }

  noteProgress({ stage, part, done, total }) {
    const count = Number(part?.split("/")[1] ?? 1);
    // A line about the whole stage, "1/1", takes the place of those about its parts, and the other way round.
    const known = this.latest.get(stage);
    const parts = known && [...known.values()].every((other) => other.count === count) ? known : new Map();
    parts.set(part, { share: (done ?? 0) / total, done: done ?? 0, total, count });
    this.latest.set(stage, parts);
  }

  /** How far a stage is: {done, total}, or null. One that is done in parts counts its parts. */
  progress(stage) {
    const parts = [...(this.latest.get(stage)?.values() ?? [])];
    if (!parts.length) return null;
    const [{ done, total, count }] = parts;
    return count === 1 ? { done, total } : { done: Math.floor(parts.reduce((sum, { share }) => sum + share, 0)), total: count };
  }

  /** The event as a line of the log, or null. Of the many points of a curve every tenth is written. */
  line(event) {
    const text = this.words(event);
    return text ? { t: event.t, stage: event.stage, text, level: event.kind === "error" ? "error" : event.data?.level } : null;
  }

  words({ kind, stage, part, data = {} }) {
    if (kind === "log") return data.text;
    if (kind === "error") return data.message;
    if (kind === "done" && part && !part.endsWith("/1")) return null; // a part of many
    if (kind === "done") return data.seconds === undefined ? "Done" : `Done in ${Number(data.seconds).toFixed(1)} s`;
    if (kind !== "metric" || !["SEARCH", "RECOVER"].includes(stage)) return null;
    this.metrics += 1;
    if (stage === "RECOVER" && !isLearning(data)) return RECOVERING(data);
    return this.metrics % EVERY_NTH_METRIC === 1 ? LEARNING(data) : null;
  }
}

/* Built for real counts more than predicted; then the smaller loss, then the smaller file. */
function isBetter(candidate, best) {
  if (!best) return true;
  if (Boolean(candidate.validated) !== Boolean(best.validated)) return Boolean(candidate.validated);
  const cost = (row) => Math.max(0, row.drop_points - 1) * 10 + Math.log2(row.latency_ms) + Math.log2(row.size_bytes);
  return cost(candidate) < cost(best);
}
