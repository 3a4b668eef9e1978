// Between pointer down on a slider and its release nothing may redraw the chart: what arrives then waits.

export class Hold {
  /** onRelease() runs after a release for which something was kept waiting. */
  constructor(node, onRelease) {
    this.held = false;
    this.waiting = false;
    node.addEventListener("pointerdown", (event) => {
      this.held = event.target.type === "range";
    });
    for (const type of ["pointerup", "pointercancel"]) addEventListener(type, () => this.release(onRelease));
  }

  /** Whether now is no time to redraw; remembers that something waits. */
  postpones() {
    this.waiting ||= this.held;
    return this.held;
  }

  release(onRelease) {
    const due = this.waiting;
    this.held = false;
    this.waiting = false;
    if (due) onRelease();
  }
}
