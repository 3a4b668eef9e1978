// The sentence under the strip that says what a lock costs, as soon as the answer with it is there.
import { lockPrice } from "../lib/lock-price.js";

export class LockNote {
  constructor(node) {
    this.node = node;
    this.asked = null;
  }

  /** A layer was fixed; `before` is the prediction so far, null when it was set free. */
  ask(layer, action, before) {
    this.asked = before ? { layer, action, before } : null;
    this.show("");
  }

  /** The prediction with the lock came. */
  answered(prediction) {
    if (!this.asked) return;
    const { layer, action, before } = this.asked;
    this.asked = null;
    this.show(lockPrice(layer, action, before, prediction));
  }

  refused(sentence) {
    if (!this.asked) return;
    this.asked = null;
    this.show(sentence);
  }

  show(text) {
    this.node.hidden = !text;
    this.node.textContent = text;
  }
}
