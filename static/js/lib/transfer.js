// Sends a file in chunks. After a lost connection or a restart of the server it goes on by itself; after a
// reload, when the same file is chosen again.
import { ApiError, get, post, quietly, remove, sendChunk } from "./api.js";
import { backoff } from "./backoff.js";

const ADDRESS = "/api/v1/transfers";
const LONGEST_PAUSE_MS = 10_000;
const EDGE_BYTES = 2 ** 20;
const PASSING = [0, 408, 425, 429, 502, 503, 504];
const PASSING_CODES = ["wrong_offset", "cut_short"];
const WAITING = "Connection lost. Nothing that was sent is lost; it goes on by itself.";

const SERVER = {
  begin: (values) => post(ADDRESS, values),
  state: (id) => get(`${ADDRESS}/${id}`),
  chunk: (id, ...rest) => sendChunk(`${ADDRESS}/${id}`, ...rest),
  finish: (id) => post(`${ADDRESS}/${id}/finish`),
  remove: (id) => remove(`${ADDRESS}/${id}`),
};

/** What tells a file from others of its name: when it was changed, and its first and last bytes where browsers hash. */
export async function fingerprint(file, subtle = globalThis.crypto?.subtle) {
  const edges = await read(new Blob([file.slice(0, EDGE_BYTES), file.slice(-EDGE_BYTES)]));
  const digest = subtle ? await subtle.digest("SHA-256", edges) : new ArrayBuffer(0); // none over plain HTTP
  const digits = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0"));
  return `${file.lastModified} ${digits.join("")}`;
}

function read(blob) {
  return blob.arrayBuffer().catch(() => {
    throw new ApiError("The file can't be read: it was changed, moved or deleted. Choose it again.", "unreadable", 400);
  });
}

/** Gives up what an earlier visit began. */
export const discard = (id) => quietly(SERVER.remove(id));

/**
 * Sends the file; `onChange` hears {state: "reading" | "waiting", share, message}. `done` is the upload;
 * `cancel` gives it up, `replace` too unless the new file is the same.
 */
export function sendFile(kind, file, onChange, server = SERVER) {
  const sending = new Sending(kind, file, onChange, server);
  return { done: sending.run(), cancel: () => sending.stop(true), replace: (other) => sending.stop(!isSame(file, other)) };
}

const isSame = (a, b) => a.name === b.name && a.size === b.size && a.lastModified === b.lastModified;

class Sending {
  constructor(kind, file, onChange, server) {
    Object.assign(this, { kind, file, onChange, server, failures: 0, sent: 0, kept: 0, message: "" });
  }

  async run() {
    for (;;) {
      try {
        return await this.goOn();
      } catch (error) {
        if (this.isStopped || !isPassing(error)) throw error;
        this.sent = this.kept;
        if (error.code !== "wrong_offset") this.show("waiting", WAITING);
        await this.pause(Math.min(backoff(this.failures++), LONGEST_PAUSE_MS));
      }
    }
  }

  /** From wherever the server says that it is. */
  async goOn() {
    let transfer = this.id ? await this.server.state(this.id) : await this.begin();
    while (transfer.received_bytes < this.file.size) {
      transfer = await this.send(transfer);
      this.failures = 0;
    }
    this.tell(this.file.size);
    return this.server.finish(transfer.id);
  }

  async begin() {
    const { name, size } = this.file;
    const values = { kind: this.kind, name, size_bytes: size, fingerprint: await fingerprint(this.file) };
    const transfer = await this.server.begin(values);
    this.id = transfer.id;
    if (transfer.received_bytes) this.message = `Went on at ${Math.round((100 * transfer.received_bytes) / size)} %.`;
    if (this.isStopped) this.stop(this.isForgotten); // meanwhile, and nothing was known yet to give up
    return transfer;
  }

  async send({ id, received_bytes: offset, chunk_bytes }) {
    this.kept = offset; // what is on its way may be lost
    this.tell(offset);
    const chunk = await read(this.file.slice(offset, offset + chunk_bytes));
    if (this.isStopped) throw new ApiError("Upload cancelled.", "cancelled", 0);
    this.request = this.server.chunk(id, chunk, offset, (bytes) => this.tell(offset + bytes));
    return this.request.done;
  }

  tell(sent) {
    this.sent = sent;
    this.show("reading", this.message);
  }

  show(state, message) {
    this.onChange({ state, message, share: this.sent / this.file.size });
  }

  stop(isForgotten) {
    Object.assign(this, { isStopped: true, isForgotten });
    this.request?.abort();
    this.wake?.();
    if (isForgotten && this.id) quietly(this.server.remove(this.id));
  }

  /** Shorter when the browser says that the network is back. */
  async pause(ms) {
    await new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, ms);
      globalThis.addEventListener?.("online", resolve, { once: true });
    });
  }
}

const isPassing = (error) => PASSING.includes(error.status) || PASSING_CODES.includes(error.code);
