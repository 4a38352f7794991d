// The server's JSON API, and jobs that tell how far they are.

const base = "api/v1";

// The server takes turns among clients; two windows of one browser are one.
if (!/(^|; )keyhole-client=/.test(document.cookie)) {
  const name = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");
  document.cookie = `keyhole-client=${name}; SameSite=Strict`;
}

/** What the server refused, with the field of the request that it is about. */
class Refusal extends Error {
  constructor(message, field) {
    super(message);
    this.field = field;
  }
}

/** A job that was cancelled: no error, but no result either. */
export class Cancelled extends Error {}

async function send(method, path, body, signal) {
  const request = { method, signal, headers: {} };
  if (method !== "GET") {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body ?? {});
  }
  let answer;
  try {
    answer = await fetch(`${base}/${path}`, request);
  } catch (err) {
    if (err.name === "AbortError") {
      throw new Cancelled();
    }
    throw new Refusal("The server does not answer. Is keyhole serve still running?", "");
  }
  if (answer.status === 204) {
    return null;
  }
  const value = await answer.json().catch(() => null);
  if (signal?.aborted) {
    throw new Cancelled();
  }
  if (!answer.ok) {
    const error = value?.error ?? {};
    throw new Refusal(error.message ?? `The server answered ${answer.status}.`, error.field ?? "");
  }
  return value;
}

export const get = (path, signal) => send("GET", path, null, signal);
export const post = (path, body, signal) => send("POST", path, body, signal);
export const patch = (path, body) => send("PATCH", path, body);
export const remove = (path) => send("DELETE", path, null);

/** A part of a path. */
export const part = (text) => encodeURIComponent(text);

/** A stream of events. */
export const eventsOf = (path, query = "") => new EventSource(`${base}/${path}/events${query}`);

/**
 * Starts a job. hooks.progress is told {done, total, text}, hooks.token a piece of
 * a text, hooks.state the state. The outcome's promise is kept with the result,
 * or broken with a Refusal or Cancelled.
 */
export function job(path, body, hooks = {}) {
  const starting = new AbortController();
  let id = null;
  let cancelled = false;

  const cancel = () => {
    cancelled = true;
    if (id === null) {
      starting.abort();
    } else {
      remove(`jobs/${part(id)}`).catch(() => {}); // it is over already
    }
  };

  const outcome = (async () => {
    const answer = await post(path, body, starting.signal);
    id = answer.job;
    if (cancelled) {
      cancel();
    }
    return follow(id, hooks);
  })();
  return { outcome, cancel };
}

function follow(id, hooks) {
  return new Promise((resolve, reject) => {
    const source = eventsOf(`jobs/${part(id)}`);
    const on = (name, f) => source.addEventListener(name, (e) => f(JSON.parse(e.data)));
    const end = (f) => (value) => {
      source.close();
      f(value);
    };
    on("state", (s) => hooks.state?.(s.state));
    on("progress", (p) => hooks.progress?.(p));
    on("token", (t) => hooks.token?.(t.text));
    on("result", end(resolve));
    on("failed", end((e) => reject(new Refusal(e.message, e.field ?? ""))));
    on("cancelled", end(() => reject(new Cancelled())));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) { // else it connects again
        reject(new Refusal("The server no longer knows this job.", ""));
      }
    });
  });
}
