// Talking to the server: JSON in and out, CSRF, errors as sentences.
const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/** A refusal or fault, with the sentence for the user in `message`. */
export class ApiError extends Error {
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

const UNREACHABLE = "The server can't be reached. Your files are untouched. Try again.";

async function answer(response) {
  const body = response.status === 204 ? {} : await response.json().catch(() => null);
  if (response.ok) return body;
  const error = body?.error ?? {};
  throw new ApiError(error.message ?? `The server answered ${response.status}.`, error.code ?? "unknown", response.status);
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

/** Sends a file as it is, with progress (fetch cannot tell it). `abort` stops it. */
export function upload(url, file, onProgress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open("POST", url);
    request.setRequestHeader("X-CSRFToken", token());
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0);
    request.onabort = () => reject(new ApiError("Upload cancelled.", "cancelled", 0));
    request.onerror = () => reject(new ApiError(UNREACHABLE, "unreachable", 0));
    request.onload = () => settle(request, resolve, reject);
  });
  request.send(file);
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
  reject(new ApiError(body?.error?.message ?? `The server answered ${request.status}.`, body?.error?.code ?? "unknown", request.status));
}

/** For what may fail unseen, such as a refresh: a refusal is dropped, a fault of ours is not. */
export const quietly = (promise) =>
  promise.catch((error) => {
    if (!(error instanceof ApiError)) throw error;
  });
