// Edit a fact: what the model shall say, by which editors, tested with what.

import { announce, byId, el, fieldError, later, plural } from "./dom.js";
import { Cancelled, post } from "./api.js";
import { store } from "./store.js";
import { Marker } from "./marker.js";
import { Work } from "./work.js";

const example = { prompt: "The capital of France is", subject: "France", target: "Rome" };

const prompt = byId("fact-prompt");
const subject = byId("fact-subject");
const target = byId("fact-target");
const paraphrases = byId("fact-paraphrases");
const neighbors = byId("fact-neighbors");
const editors = byId("fact-editors");
const error = byId("fact-error");
const fields = [prompt, subject, target, paraphrases, neighbors, editors];

let marker;
let work;
let trials;
let own = false; // the tests were written by hand, and are not replaced by others
let suggesting = Promise.resolve(); // the latest suggestion
let looking = new AbortController(); // for it
let about = null; // the fact that it is for

const lines = (area) => area.value.split("\n").map((l) => l.trim()).filter((l) => l !== "");

/** A neighbour as it is written in a line: "prompt => answer". */
function neighbor(line) {
  const [text, ...answer] = line.split("=>");
  const target = answer.join("=>").trim();
  return target === "" ? { prompt: text.trim() } : { prompt: text.trim(), target };
}

const chosen = () => [...editors.querySelectorAll("input:checked")].map((i) => i.value);

function changed() {
  store.setFact({ prompt: prompt.value, subject: subject.value.trim(), target: target.value.trim() });
  marker.draw();
}

function showCounts() {
  const p = lines(paraphrases).length;
  const n = lines(neighbors).length;
  byId("fact-counts").textContent = p + n === 0 ? "no other prompts" : `${plural(p, "paraphrase")} and ${plural(n, "neighbour")}`;
}

// gives the tests that the data have for the fact. Those written by hand give way
// only where that was asked for.
function suggest(asked) {
  looking.abort(); // an answer about an earlier fact must not come behind this one
  looking = new AbortController();
  about = `${prompt.value}\n${subject.value}`;
  suggesting = lookUp(asked, looking.signal).catch((err) => {
    if (!(err instanceof Cancelled)) {
      byId("fact-source").textContent = err.message;
    }
  });
}

async function lookUp(asked, signal) {
  const { prompt: text, subject: name } = store.fact;
  if (text.trim() === "" || (own && !asked)) {
    return;
  }
  const found = await post("suggest", { prompt: text, subject: name }, signal);
  if (own && !asked) {
    return; // some were written meanwhile
  }
  const none = found.paraphrases.length + found.neighbors.length === 0;
  if (!none || !asked) {
    paraphrases.value = found.paraphrases.join("\n");
    neighbors.value = found.neighbors.map((n) => (n.target ? `${n.prompt} => ${n.target}` : n.prompt)).join("\n");
    own = false;
  }
  byId("fact-source").textContent = none ? "The data know nothing like this fact; write your own." : `From ${found.source}.`;
  showCounts();
}

function fill({ editors: list }) {
  editors.replaceChildren(...list.map(({ name, default: on }) => el("label", { class: "chip" },
    el("input", { type: "checkbox", name: "editor", value: name, checked: on }), el("span", {}, name))));
  byId("fact-about").replaceChildren(...list.flatMap(({ name, about }) => [el("dt", {}, name), el("dd", {}, about)]));
}

function showLayer() {
  byId("fact-layer").hidden = store.layer === null;
  byId("fact-layer-text").textContent = store.layer === null ? "" : `ROME edits block ${store.layer}.`;
}

function clearErrors() {
  error.textContent = "";
  fields.forEach((f) => fieldError(f, ""));
}

// shows an error where it belongs, and goes there
function refuse(message, name) {
  const field = fields.find((f) => name.replace(/^request\./, "").replace(/\[.*/, "") === f.id.replace("fact-", ""));
  if (!field) {
    error.textContent = message;
    return;
  }
  fieldError(field, message);
  field.closest("details")?.setAttribute("open", "");
  (field === editors ? editors.querySelector("input") : field)?.focus();
  announce(message);
}

/** What is wrong with the fact, as [message, field], or null. */
function wrong({ prompt: p, subject: s, target: t }) {
  if (p.trim() === "") {
    return ["Write a prompt that asks for the fact.", "prompt"];
  }
  if (s !== "" && !p.includes(s)) {
    return ["The subject does not stand in the prompt.", "subject"];
  }
  if (t === "") {
    return ["Say what the model shall answer.", "target"];
  }
  return chosen().length === 0 ? ["Choose at least one editor.", "editors"] : null;
}

async function attempt() {
  clearErrors();
  changed();
  const fault = wrong(store.fact);
  if (fault) {
    refuse(...fault);
    return;
  }
  if (about !== `${prompt.value}\n${subject.value}`) {
    suggest(false); // it was typed just now
  }
  await suggesting;
  const request = { ...store.fact, paraphrases: lines(paraphrases), neighbors: lines(neighbors).map(neighbor) };
  const body = { request, editors: chosen() };
  if (store.layer !== null) {
    body.layer = store.layer;
  }
  trials.wait(body.editors);
  try {
    const result = await work.run("trials", body);
    trials.show(result?.trials ?? []);
  } catch (err) {
    trials.show([]);
    refuse(err.message, err.field ?? "");
  }
}

/** Opens the room; what comes of a trial is shown in trials. */
export function openFact(results) {
  trials = results;
  work = new Work(byId("fact-work"), "Trying the edit");
  const soon = later(600, () => suggest(false));
  const edited = () => {
    changed();
    soon();
  };
  marker = new Marker(prompt, byId("fact-mirror"), subject, () => {
    edited();
    announce(`Subject: ${subject.value}`);
  });
  prompt.value = example.prompt;
  subject.value = example.subject;
  target.value = example.target;
  fill(store.status);
  changed();

  fields.forEach((f) => f.addEventListener("input", () => fieldError(f, "")));
  [prompt, subject].forEach((f) => f.addEventListener("input", edited));
  target.addEventListener("input", changed);
  [paraphrases, neighbors].forEach((f) => f.addEventListener("input", () => {
    own = true;
    showCounts();
  }));
  byId("fact-suggest").addEventListener("click", () => suggest(true));
  byId("fact-form").addEventListener("submit", (e) => {
    e.preventDefault();
    attempt();
  });
  byId("fact-layer-reset").addEventListener("click", () => store.setLayer(null));
  store.watch("layer", showLayer);
  suggest(false);
}
