// Making elements, telling screen readers, and writing numbers for people.

/** The element with an id. */
export const byId = (id) => document.getElementById(id);

/**
 * An element. Attributes that are false or null are left out, functions listen to
 * the event of their name, texts become text nodes.
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  set(node, attributes);
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

/** An element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(node, attributes);
  node.append(...children);
  return node;
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      node.addEventListener(name, value);
    } else if (value === true) {
      node.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value);
    }
  }
}

/** Says something to those who do not see it appear. */
export function announce(text) {
  byId("live").textContent = text;
}

/** Shows an error below a field, or takes it away. */
export function fieldError(input, message) {
  const place = byId(`${input.id}-error`);
  place.textContent = message;
  if (message) {
    input.setAttribute("aria-invalid", "true");
  } else {
    input.removeAttribute("aria-invalid");
  }
}

/** A probability or share, as "97 %". Small and nearly certain ones keep a digit. */
export function percent(p) {
  const v = 100 * p;
  if (v > 0 && v < 0.1) {
    return "<0.1\u00a0%";
  }
  const digits = v === 0 || v === 100 || (v >= 10 && v < 99) ? 0 : 1;
  const text = v < 100 && Number(v.toFixed(digits)) === 100 ? ">99.9" : v.toFixed(digits);
  return `${text}\u00a0%`;
}

/** A number with so many significant digits at most, without an exponent. */
export function short(v, digits = 3) {
  if (v === 0) {
    return "0";
  }
  return Math.abs(v) < 1e-4 ? v.toExponential(1) : String(Number(v.toPrecision(digits)));
}

/** A time, as "0.8 s" or "3 min". */
export function duration(seconds) {
  if (seconds < 0.095) {
    return `${Math.max(1, Math.round(1000 * seconds))}\u00a0ms`;
  }
  if (seconds < 90) {
    return `${seconds < 9.95 ? seconds.toFixed(1) : Math.round(seconds)}\u00a0s`;
  }
  return `${Math.round(seconds / 60)}\u00a0min`;
}

/** A size, as "3.4 MB". */
export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let at = 0;
  while (bytes >= 1000 && at < units.length - 1) {
    bytes /= 1000;
    at++;
  }
  return `${at === 0 ? bytes : Number(bytes.toPrecision(3))}\u00a0${units[at]}`;
}

/** A count, as "135,000,000". */
export const count = (n) => n.toLocaleString("en");

/** A count in short, as "135M". */
export const compact = (n) => n.toLocaleString("en", { notation: "compact" });

/** One word for one, another for more: plural(3, "edit") is "3 edits". */
export const plural = (n, one, more = `${one}s`) => `${n}\u00a0${n === 1 ? one : more}`;

/** A text in one line, with marks for what cannot be seen. */
export const visible = (text) => text.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll("\ufffd", "·");

/** Calls f when nobody has called for some milliseconds. */
export function later(ms, f) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...args), ms);
  };
}

/** Scrolls to what has come, if it is out of sight. */
export function show(node) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  node.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
}
