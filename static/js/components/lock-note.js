// The sentence under the strip that says what a lock costs, as soon as the answer with it is there, or why there is no answer.
import { lockPrice } from "../lib/lock-price.js";

export class LockNote {
  constructor(node) {
    this.node = node;
    this.asked = null;
    this.refusal = false;
  }

  /** A layer was fixed; `before` is the prediction so far, null when it was set free. */
  ask(layer, action, before) {
    this.asked = before ? { layer, action, before } : null;
    this.show("");
  }

  /** The prediction came, with the lock if one was asked for. */
  answered(prediction) {
    const { asked } = this;
    this.asked = null;
    if (asked) this.show(lockPrice(asked.layer, asked.action, asked.before, prediction));
    else if (this.refusal) this.show("");
  }

  refused(sentence) {
    this.asked = null;
    this.show(sentence);
    this.refusal = true;
  }

  show(text) {
    this.refusal = false;
    this.node.hidden = !text;
    this.node.textContent = text;
  }
}
