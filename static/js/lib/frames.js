// A slider may emit several inputs a frame: they are answered once, and the script time of handlers and
// frame together is kept for the tests and the tuner.
import { record } from "./timings.js";

export class Frames {
  /** draw() is called once a frame after `request`. */
  constructor(draw) {
    this.draw = draw;
    this.queued = false;
    this.handlerMs = 0;
  }

  /** start: when the input's handler began. */
  request(start) {
    if (!this.queued) {
      this.queued = true;
      requestAnimationFrame(() => this.frame());
    }
    this.handlerMs += performance.now() - start;
  }

  frame() {
    const start = performance.now();
    this.queued = false;
    this.draw();
    const end = performance.now();
    record("input", end - start + this.handlerMs);
    performance.measure("adadeep:input", { start: start - this.handlerMs, end });
    this.handlerMs = 0;
  }
}
