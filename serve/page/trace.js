// Look inside: a causal trace of the fact that is written above.

import { announce, byId, el } from "./dom.js";
import { store } from "./store.js";
import { Work } from "./work.js";
import { HeatMap } from "./heat.js";

const error = byId("trace-error");
const kinds = { hidden: "states", mlp: "MLP outputs", attn: "attention outputs" };

let work;
let traced = null;
let map = null; // what is drawn of it

const chosen = (name) => document.querySelector(`[name=${name}]:checked`).value;
const kind = () => chosen("trace-kind");

function showFact() {
  const { prompt, subject } = store.fact;
  const at = subject === "" ? -1 : prompt.indexOf(subject);
  const ready = at >= 0;
  byId("trace-start").disabled = !ready;
  byId("trace-fact").replaceChildren(...(ready
    ? [prompt.slice(0, at), el("mark", {}, subject), prompt.slice(at + subject.length)]
    : ["Mark the subject in the fact above."]));
}

function draw() {
  const place = byId("heat");
  if (!traced) {
    place.replaceChildren(el("p", { class: "empty" }, "The heat map stands here: tokens down, blocks across. A click in it makes ROME edit that block."));
    return;
  }
  map = new HeatMap(traced, kind(), kinds[kind()], (block) => {
    store.setLayer(block);
    announce(`ROME edits block ${block} from now on`);
  });
  place.replaceChildren(map.node);
  map.choose(store.layer);
}

async function start() {
  error.textContent = "";
  const { prompt, subject } = store.fact;
  try {
    const result = await work.run("trace", { prompt, subject, edits: chosen("trace-model") === "on" });
    if (result === null) {
      return;
    }
    traced = result;
    draw();
    announce(`Traced: the answer is ${result.answer}`);
  } catch (err) {
    error.textContent = err.message;
  }
}

/** Opens the room. */
export function openTrace() {
  work = new Work(byId("trace-work"), "Tracing");
  byId("trace-form").addEventListener("submit", (e) => {
    e.preventDefault();
    start();
  });
  document.querySelectorAll("[name=trace-kind]").forEach((r) => r.addEventListener("change", draw));
  store.watch("fact", showFact);
  store.watch("edits", () => {
    byId("trace-model").hidden = store.on === 0;
  });
  store.addEventListener("layer", () => map?.choose(store.layer));
  draw();
}
