// The two charts that fill up while a model is studied: what each change alone costs, and how the
// selector learns. They leave when the study is finished.
import "./plot-figure.js";
import { $ } from "../lib/dom.js";

export class StudyCharts {
  constructor(node) {
    this.node = node;
    this.sensitivity = $("#sensitivity", node);
    this.reward = $("#reward", node);
    this.sensitivity.reason = "The first probes come in once the layers are timed.";
    this.reward.reason = "The selector learns once the layers are probed.";
  }

  set shown(on) {
    this.node.hidden = !on;
  }

  /** figures: {sensitivity, reward}; null where there is nothing yet. */
  show({ sensitivity, reward }) {
    this.sensitivity.figure = sensitivity ?? null;
    this.reward.figure = reward ?? null;
  }
}
