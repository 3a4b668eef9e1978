// Talking to the server: JSON in and out, CSRF, errors as sentences.
const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/** A refusal or fault, with the sentence for the user in `message`, and in `facts` what else was said. */
export class ApiError extends Error {
  constructor(message, code, status, facts = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.facts = facts;
  }
}

const refusal = (status, error = {}) => new ApiError(error.message ?? `The server answered ${status}.`, error.code ?? "unknown", status, error);

const UNREACHABLE = "The server can't be reached. Your files are untouched. Try again.";

async function answer(response) {
  const body = response.status === 204 ? {} : await response.json().catch(() => null);
  if (response.ok) return body;
  throw refusal(response.status, body?.error);
}

async function call(method, url, body) {
  const headers = { "X-CSRFToken": token(), Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const request = fetch(url, { method, headers, credentials: "same-origin", body: body === undefined ? undefined : JSON.stringify(body) });
  return answer(await request.catch(() => {
    throw new ApiError(UNREACHABLE, "unreachable", 0);
  }));
}

export const get = (url) => call("GET", url);
export const post = (url, body = {}) => call("POST", url, body);
export const remove = (url) => call("DELETE", url);

/** Sends a chunk of a file as it is, and tells how many bytes are on their way (fetch cannot). `abort` stops it. */
export function sendChunk(url, chunk, offset, onProgress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open("PATCH", url);
    request.setRequestHeader("X-CSRFToken", token());
    request.setRequestHeader("Upload-Offset", offset);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onabort = () => reject(new ApiError("Upload cancelled.", "cancelled", 0));
    request.onerror = () => reject(new ApiError(UNREACHABLE, "unreachable", 0));
    request.onload = () => settle(request, resolve, reject);
  });
  request.send(chunk);
  return { done, abort: () => request.abort() };
}

function settle(request, resolve, reject) {
  let body = null;
  try {
    body = JSON.parse(request.responseText);
  } catch {
    body = null;
  }
  if (request.status < 300 && body) return resolve(body);
  reject(refusal(request.status, body?.error));
}

/** For what may fail unseen, such as a refresh: a refusal is dropped, a fault of ours is not. */
export const quietly = (promise) =>
  promise.catch((error) => {
    if (!(error instanceof ApiError)) throw error;
  });
