// What a browser says of itself, in words: its name, the kind of device, what it cannot do here.
const BROWSERS = [
  [/\bEdgA?\/(\d+)/, "Edge"],
  [/\bOPR\/(\d+)/, "Opera"],
  [/\bSamsungBrowser\/(\d+)/, "Samsung Internet"],
  [/\b(?:Firefox|FxiOS)\/(\d+)/, "Firefox"],
  [/\bHeadlessChrome\/(\d+)/, "Chromium"],
  [/\b(?:Chrome|CriOS)\/(\d+)/, "Chrome"],
  [/\bVersion\/(\d+).*Safari/, "Safari"],
];
const SYSTEMS = [
  [/iPhone/, "iPhone", "apple"],
  [/iPad/, "iPad", "apple"],
  [/Android/, "Android", "android"],
  [/Windows/, "Windows", "computer"],
  [/CrOS/, "ChromeOS", "computer"],
  [/Mac OS X|Macintosh/, "macOS", "computer"],
  [/Linux|X11/, "Linux", "computer"],
];

const first = (rows, agent) => rows.find(([pattern]) => pattern.test(agent));

/** "Chrome 156 on Android"; an agent that says nothing is "A browser". */
export function browserTitle(agent) {
  const browser = first(BROWSERS, agent);
  const system = first(SYSTEMS, agent);
  const name = browser ? `${browser[1]} ${agent.match(browser[0])[1]}` : "A browser";
  return system ? `${name} on ${system[1]}` : name;
}

/** "computer", "android" or "apple": what the question about the device is answered with at first. */
export const likelyKind = (agent) => first(SYSTEMS, agent)?.[2] ?? "computer";

/** How many threads may be chosen: one where memory cannot be shared. */
export function threadChoices(isolated, cores) {
  const most = isolated ? Math.max(1, cores || 1) : 1;
  return [1, 2, 4, 8].filter((threads) => threads <= most);
}

/** What stays unmeasured here, each a sentence. gpu: as gpuFacts gives it. */
export function limitations({ secure, isolated, gpu }) {
  return [
    secure ? "" : "This address is not HTTPS, so browsers give one thread, a coarser clock and no WebGPU.",
    secure && !isolated ? "This browser shares no memory between threads here, so one thread is measured." : "",
    secure && !gpu ? "This browser offers no WebGPU here, so it cannot be tried." : "",
    gpu ? `This browser offers WebGPU (${gpu.title}). Measured, it is a device of its own.` : "",
    gpu?.fallback ? "No graphics chip computes that: the processor does." : "",
  ].filter(Boolean);
}

/** Of a WebGPU adapter its name and whether the processor plays it; null without one. */
export function gpuFacts(adapter) {
  if (!adapter) return null;
  const { vendor = "", architecture = "", description = "", isFallbackAdapter = false } = adapter.info ?? {};
  const title = description || [vendor, architecture].filter(Boolean).join(" ") || "unnamed";
  return { title, fallback: isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/i.test(title) };
}

/** Whether WebGPU was tried, as a sentence for what came out. */
export function gpuOutcome(backend, gpu) {
  if (backend === "webgpu") return `Computed by WebGPU (${gpu?.title ?? "unnamed"}).`;
  return gpu ? "Computed by the processor; WebGPU is offered here and was not tried." : "Computed by the processor; WebGPU is not offered here and was not tried.";
}

const FAILURES = {
  forbidden: "This browser does not allow WebAssembly here. A lockdown mode or a policy forbids it; allow it for this address, or take another browser.",
  clock: "This browser rounds its clock too coarsely to time networks: a privacy setting. Take another browser, or switch that setting off for this address.",
  runtime: "The runtime did not arrive. Check the connection to the server and try again.",
  silent: "No answer from this browser. Close heavy tabs and try again.",
  webgpu: "WebGPU did not answer. Choose the processor, or update the browser and its graphics driver and try again.",
  threads: "No answer from this browser with several threads. Choose one thread and try again.",
};

/** Why nothing was measured, and what to do. */
export const failureText = (code, message = "") => FAILURES[code] ?? `The measurement stopped: ${message.replace(/\.$/, "")}. Try again, or take another browser.`;
