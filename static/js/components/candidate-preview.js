// A candidate that is pointed at in the chart has its recipe in the strip until the pointer leaves it.
const DWELL_MS = 200;

export class CandidatePreview {
  /** show(candidate, layers), show(null) at the end; ask(candidate): the layers of one that came without. */
  constructor(show, ask) {
    Object.assign(this, { show, ask, answers: new WeakMap(), candidate: null });
  }

  /** The candidate under the pointer, or null. */
  point(candidate) {
    if (candidate === this.candidate) return;
    clearTimeout(this.timer);
    this.candidate = candidate;
    const layers = candidate && (candidate.tiles.length ? candidate.tiles : this.answers.get(candidate));
    this.show(layers ? candidate : null, layers);
    if (candidate && !layers) this.timer = setTimeout(() => this.fetch(candidate), DWELL_MS);
  }

  async fetch(candidate) {
    const layers = await this.ask(candidate);
    if (!layers) return;
    this.answers.set(candidate, layers);
    if (this.candidate === candidate) this.show(candidate, layers);
  }
}
