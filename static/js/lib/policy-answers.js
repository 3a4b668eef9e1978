// Questions to the policy and their numbers: only the answer to the newest question counts. Over the
// socket while it is open, at most 20 a second, else by request.
import { ApiError } from "./api.js";
import { Asking } from "./asking.js";

const GOALS_A_SECOND = 20;

export class PolicyAnswers {
  /**
   * question(): what is asked; socket(): the live socket; request(question): asks without it;
   * onAnswer(selection) and onRefusal(sentence) for the newest question only.
   */
  constructor({ question, socket, request, onAnswer, onRefusal }) {
    Object.assign(this, { question, socket, request, onAnswer, onRefusal });
    this.n = 0;
    this.answer = null;
    this.taken = 0;
    this.asking = new Asking(() => this.socket().send({ kind: "goals", n: this.n, ...this.question() }), 1000 / GOALS_A_SECOND);
  }

  /** The answer to what is asked now, or null while it is on its way. */
  get current() {
    return this.answer?.n === this.n ? this.answer.selection : null;
  }

  /** The question has changed: former answers are void. */
  forget() {
    this.n += 1;
  }

  /** Asks by the socket; without one the question waits for `ask`. */
  askLive() {
    this.forget();
    this.asking.ask();
  }

  ask() {
    this.forget();
    if (this.socket().open) this.asking.ask();
    else this.askByRequest(this.n);
  }

  async askByRequest(n) {
    try {
      const { selection } = await this.request(this.question());
      if (selection) this.take({ kind: "answer", n, selection });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status) this.take({ kind: "refusal", n, message: error.message }); // else the banner says that the server is away
    }
  }

  /** A message of the socket: an answer, a refusal, or what a second look at the same question found. */
  take({ kind, n, selection, message }) {
    if (!["answer", "refusal", "better"].includes(kind)) return;
    if (kind !== "better") this.asking.settled();
    if (n !== this.n) return;
    if (kind === "refusal") return this.onRefusal(message);
    this.answer = { n, selection };
    this.taken += 1;
    this.onAnswer(selection);
  }
}
