// Talking to the service: questions and answers, files on their way, events as they happen. Whoever gets a 401 is asked
// for a key once; the request then goes again.

import { present } from "./languages.js";
import { key } from "./key.js";

/**
 * @typedef {{name: string, stage: string, kind: string, size: number, sha256: string, href: string, path: string}} Artifact
 * @typedef {{key: string, use: string, state: string, seconds: number, scores: Record<string, number>}} StageResult
 * @typedef {{fraction: number, stages: number, stage?: string, done?: number, total?: number, unit?: string}} Progress
 * @typedef {{id: string, kind: string, state: string, cancelling: boolean, config: any, preset: string, attempt: number, progress?: Progress,
 *   message: string, cached: boolean, result?: {stages: StageResult[], artifacts: Artifact[]}, error?: {code: string, message: string, stage?: string, tail?: string},
 *   created: string, started?: string, ended?: string, run: string, links: Record<string, string>}} Job
 * @typedef {{loc: string, code: string, message: string}} SettingProblem
 * @typedef {{file: File, name: string}} Sent
 */

/** An answer that is no success: the problem's sentence, and the problem itself (RFC 9457). */
export class ProblemError extends Error {
  /** @param {{detail?: string, code?: string, status: number, errors?: SettingProblem[]}} problem */
  constructor(problem) {
    super(problem.detail ?? String(problem.status));
    this.status = problem.status;
    this.code = problem.code ?? "";
    /** @type {SettingProblem[]} */
    this.errors = problem.errors ?? [];
  }
}

/** Asks a person for a key, and says whether the service has taken one; the page puts its dialog here.
 * @type {{ask: () => Promise<boolean>}} */
export const doorkeeper = { ask: async () => false };

function headers() {
  const said = key();
  return { "Accept-Language": present(), ...(said ? { "X-API-Key": said } : {}) };
}

/**
 * A request; a 401 is answered with the key that a person gives.
 * @param {string} address
 * @param {RequestInit & {isSecond?: boolean}} [options]
 * @returns {Promise<Response>}
 */
export async function request(address, { isSecond = false, ...options } = {}) {
  const answer = await fetch(address, { ...options, headers: { ...headers(), ...options.headers } });
  if (answer.ok) return answer;
  if (answer.status === 401 && !isSecond && (await doorkeeper.ask())) return request(address, { ...options, isSecond: true });
  throw new ProblemError({ status: answer.status, ...(await answer.json().catch(() => ({ detail: answer.statusText }))) });
}

/** @param {string} address @param {RequestInit} [options] @returns {Promise<any>} */
export const ask = async (address, options) => (await request(address, options)).json();

/** @param {string} address @param {any} body @returns {Promise<any>} */
export const post = (address, body) => ask(address, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
});

/**
 * Ask for a stage or a recipe to be run.
 * @param {string} kind
 * @param {any} config
 * @param {string} [preset]
 * @returns {Promise<Job>}
 */
export const start = (kind, config, preset = "") => post(
  `/v1/jobs/${encodeURIComponent(kind)}${preset ? `?preset=${encodeURIComponent(preset)}` : ""}`, config);

/**
 * Send files; several make a folder. `progress` hears the share that has gone.
 * @param {Sent[]} files
 * @param {(share: number) => void} [progress]
 * @returns {Promise<{id: string, name: string, files: number, size: number}>}
 */
export function send(files, progress = () => {}) {
  const form = new FormData();
  for (const { file, name } of files) form.append("file", file, name);
  return new Promise((done, fail) => {
    const going = new XMLHttpRequest(); // fetch does not tell how much of a body has gone
    going.open("POST", "/v1/uploads");
    for (const [name, value] of Object.entries(headers())) going.setRequestHeader(name, value);
    going.responseType = "json";
    going.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    going.onload = () => (going.status < 300 ? done(going.response) : fail(new ProblemError({ status: going.status, ...going.response })));
    going.onerror = () => fail(new ProblemError({ status: 0, detail: "" }));
    going.send(form);
  });
}

/**
 * Follow a job's events until it ends or `signal` says so; a broken line is taken up where it broke.
 * @param {string} address
 * @param {(kind: string, data: any) => void} hear
 * @param {AbortSignal} signal
 */
export async function follow(address, hear, signal) {
  let last = "", isOver = false;
  while (!isOver && !signal.aborted) {
    try {
      const answer = await request(address, { signal, headers: last ? { "Last-Event-ID": last } : {} });
      for await (const event of events(/** @type {ReadableStream<Uint8Array>} */ (answer.body))) {
        if (event.id) last = event.id;
        hear(event.kind, event.data);
        isOver ||= event.kind === "end";
      }
    } catch (error) {
      if (signal.aborted || (error instanceof ProblemError && error.status < 500)) return;
    }
    if (!isOver) await new Promise((done) => setTimeout(done, 1000));
  }
}

/** The events of a stream, after the HTML standard's grammar. @param {ReadableStream<Uint8Array>} body */
async function* events(body) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (waiting + value).split(/\r?\n\r?\n/);
    waiting = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = { kind: "message", id: "", text: "" };
      for (const line of block.split(/\r?\n/)) {
        const [, field, said] = line.match(/^(\w+): ?(.*)$/) ?? [];
        if (field === "event") event.kind = said;
        else if (field === "id") event.id = said;
        else if (field === "data") event.text += said;
      }
      if (event.text) yield { kind: event.kind, id: event.id, data: JSON.parse(event.text) };
    }
  }
}

/** Save an artifact to disk. @param {string} href @param {string} name */
export function save(href, name) {
  const link = document.createElement("a");
  Object.assign(link, { href, download: name });
  link.click();
}

/** Save what the browser has itself. @param {Blob} file @param {string} name */
export function saveFile(file, name) {
  const href = URL.createObjectURL(file);
  save(href, name);
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
