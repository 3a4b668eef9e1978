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

/** What stays unmeasured here, each a sentence. */
export function limitations({ secure, isolated, gpu }) {
  return [
    secure ? "" : "This address is not HTTPS, so browsers give one thread, a coarser clock and no WebGPU.",
    secure && !isolated ? "This browser shares no memory between threads here, so one thread is measured." : "",
    gpu ? "This browser offers WebGPU, which is not measured." : "",
  ].filter(Boolean);
}

const FAILURES = {
  forbidden: "This browser does not allow WebAssembly here. A lockdown mode or a policy forbids it; allow it for this address, or take another browser.",
  clock: "This browser rounds its clock too coarsely to time networks: a privacy setting. Take another browser, or switch that setting off for this address.",
  runtime: "The runtime did not arrive. Check the connection to the server and try again.",
  silent: "No answer from this browser. Close heavy tabs and try again.",
  threads: "No answer from this browser with several threads. Choose one thread and try again.",
};

/** Why nothing was measured, and what to do. */
export const failureText = (code, message = "") => FAILURES[code] ?? `The measurement stopped: ${message.replace(/\.$/, "")}. Try again, or take another browser.`;
