// Gives the page two residual networks of a thousand layers; answers with the milliseconds of a scroll step.
() => {
  const techniques = ["keep", "svd", "filter_pruning", "cp"];
  const name = (i) => `block${Math.floor(i / 4)}_conv${i % 4}`;
  const reads = (i) => (i === 0 ? ["x"] : i % 4 === 0 && i > 4 ? [name(i - 1), name(i - 4)] : [name(i - 1)]);
  const layer = (i, technique) => ({ layer: name(i), technique, level: "1/2", stored: "fp32", ms_before: 1, ms_after: 0.5, params_before: 9, params_after: 5, macs_before: 9, macs_after: 5, text: "conv 3x3", shape: [64, 8, 8], why: "", reads: reads(i) });
  const all = Array.from({ length: 1000 }, (_, i) => i);
  const same = (i) => i > 30 && i % 150 !== 0;
  const a = all.map((i) => layer(i, techniques[i % 4]));
  const b = all.map((i) => layer(i, techniques[(i + (same(i) ? 0 : 1)) % 4]));
  const graph = document.querySelector("#graphs");
  graph.networks = { a, b, pairs: all.map((i) => ({ a: i, b: i, same: same(i) })), times: { unit: "ms", show: String } };
  graph.strict = false;
  const started = performance.now();
  for (let step = 0; step < 40; step += 1) {
    graph.list.scrollTop = 40 * step;
    graph.paint();
  }
  const each = (performance.now() - started) / 40;
  graph.list.scrollTop = 40 * 28;
  graph.paint();
  return each;
};
