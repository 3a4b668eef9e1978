// Times graphs in onnxruntime-web, away from the page. Told {kind: "start", runtime, backend, threads, graphs, seconds},
// "pause" and "resume"; tells "ready", "visit", "measured" or "failed".
import { COARSEST_STEP_MS, ROUNDS, clockStep, driftOf, timedBatches, visitLimit } from "../lib/graph-timing.js";
import { inputsOf } from "../lib/graph-inputs.js";

const now = () => performance.now();
const tell = (kind, values = {}) => postMessage({ kind, ...values });

/** Set while the page is hidden: nothing is timed then, and the time limit waits. */
let paused = false;
let resumed = () => {};
let pausedFor = 0;

addEventListener("message", ({ data }) => {
  if (data.kind === "start") start(data).catch((error) => tell("failed", { code: error.code ?? "fault", message: String(error.message ?? error) }));
  if (data.kind === "pause") paused = true;
  if (data.kind === "resume") {
    paused = false;
    resumed();
  }
});

/** Lets messages in; says whether timing may go on. */
async function go() {
  await new Promise((resolve) => setTimeout(resolve));
  return !paused;
}

async function waitWhilePaused() {
  const since = now();
  while (paused) await new Promise((resolve) => (resumed = resolve));
  pausedFor += now() - since;
}

async function start({ runtime, backend, threads, graphs, seconds }) {
  const step_ms = clockStep(now);
  if (step_ms > COARSEST_STEP_MS) throw coded("clock", `${Math.round(step_ms)} ms`);
  const ort = await loaded(runtime, backend, threads);
  tell("ready", { step_ms });
  const from = now();
  const left = () => 1000 * seconds - (now() - from - pausedFor);
  const measured = graphs.map((graph) => ({ ...graph, rounds: [], refused: "" }));
  await measure({ ort, backend, step_ms }, measured, left);
  tell("measured", {
    step_ms,
    drift: driftOf(measured.filter((graph) => !graph.refused).map((graph) => graph.rounds)),
    graphs: measured.map(({ name, rounds, refused }) => ({ name, runs_ms: rounds.flat(), refused })),
  });
}

/** The runtime, the larger one only where the graphics processor is to compute. */
async function loaded(runtime, backend, threads) {
  if (typeof WebAssembly === "undefined") throw coded("forbidden", "");
  if (backend === "webgpu" && !(await navigator.gpu?.requestAdapter())) throw coded("webgpu", "");
  const ort = await import(`${runtime}ort.${backend}.min.mjs`).catch((error) => {
    throw coded("runtime", error.message);
  });
  ort.env.wasm.wasmPaths = runtime;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return ort;
}

/** Round after round over all graphs; one that fails is left out, with the reason. */
async function measure(runtime, graphs, left) {
  const visits = ROUNDS * graphs.length;
  for (let visit = 0; visit < visits && left() > 0; ) {
    const graph = graphs[visit % graphs.length];
    await go();
    if (paused) await waitWhilePaused();
    const runs = graph.refused ? null : await visited(runtime, graph, visitLimit(left(), visits - visit));
    if (paused) continue; // the page was left meanwhile: what was timed then counts for nothing
    if (runs) graph.rounds.push(runs);
    visit += 1;
    tell("visit", { name: graph.name, visit, visits });
  }
}

async function visited({ ort, backend, step_ms }, graph, limit_ms) {
  let session;
  try {
    graph.bytes ??= await bytesOf(graph.url);
    session = await ort.InferenceSession.create(graph.bytes, { executionProviders: [backend] });
    const inputs = inputsOf(session.inputMetadata);
    // A tensor of its own for each run: the runtime may take the buffer away.
    const feeds = () => Object.fromEntries(inputs.map(({ name, type, data, dims }) => [name, new ort.Tensor(type, data, dims)]));
    const run = () => session.run(feeds());
    if (backend === "webgpu") await run(); // compiles the shaders, which takes longer than any limit
    return await timedBatches(run, { now, step_ms, limit_ms, go });
  } catch (error) {
    if (isForbidden(error)) throw coded("forbidden", error.message);
    graph.refused = String(error.message ?? error);
    return null;
  } finally {
    await session?.release();
  }
}

async function bytesOf(url) {
  const response = await fetch(url, { credentials: "same-origin" });
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

const isForbidden = (error) => /unsafe-eval|WebAssembly.*(disabled|disallowed|blocked|not defined)/i.test(String(error?.message ?? error));

function coded(code, message) {
  return Object.assign(new Error(message), { code });
}
