// One measurement from start to end: the background script, its silence, pause and cancel.
const SILENCE_S = 60;

/**
 * work: {script, runtime, backend, threads, graphs, seconds}. onVisit({name, visit, visits}) tells the progress.
 * done gives what was measured; it fails with {code, message}, code "cancelled" where a person stopped it.
 */
export function measuring(work, onVisit) {
  const script = new Worker(work.script, { type: "module" });
  let silence = 0;
  let paused = false;
  let settle;
  const done = new Promise((resolve, reject) => (settle = { resolve, reject }));
  const end = (how, value) => {
    clearTimeout(silence);
    script.terminate();
    settle[how](value);
  };
  const listen = () => {
    clearTimeout(silence);
    // What was under way when the page was hidden is still told; the silence after that is wanted.
    if (!paused) silence = setTimeout(() => end("reject", { code: work.threads > 1 ? "threads" : "silent" }), SILENCE_S * 1000);
  };
  script.onerror = (event) => end("reject", { code: "fault", message: event.message || "the background script did not start" });
  script.onmessage = ({ data }) => {
    listen();
    if (data.kind === "visit") onVisit(data);
    if (data.kind === "measured") end("resolve", data);
    if (data.kind === "failed") end("reject", data);
  };
  const { runtime, backend, threads, graphs, seconds } = work;
  script.postMessage({ kind: "start", runtime: new URL(runtime, location.href).href, backend, threads, graphs: graphs.map(({ name, url }) => ({ name, url: new URL(url, location.href).href })), seconds });
  listen();
  return {
    done,
    cancel: () => end("reject", { code: "cancelled" }),
    pause() {
      paused = true;
      listen();
      script.postMessage({ kind: "pause" });
    },
    resume() {
      paused = false;
      script.postMessage({ kind: "resume" });
      listen();
    },
  };
}
