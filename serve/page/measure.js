// Measure: what became of all the kept edits together, or how an editor does on edits
// that nobody has seen.

import { announce, byId, duration, el, fieldError, percent, plural, short, show } from "./dom.js";
import { store } from "./store.js";
import { Work } from "./work.js";
import { figure, held, table, verdict } from "./rows.js";

const kept = ""; // the value of the choice that is no data

const data = byId("measure-data");
const editor = byId("measure-editor");
const limit = byId("measure-limit");
const error = byId("measure-error");
const place = byId("measured");

let work;
let chosen = false; // what is measured is somebody's choice

/** What all edits that are on do together. */
function checked({ edits, drift, seconds }) {
  const rows = edits.flatMap((e) => e.rows);
  return [
    el("h3", {}, `${plural(edits.length, "kept edit")} together`),
    el("dl", { class: "figures" },
      figure("Edits", held(rows, "prompt"), "Edits whose prompt gets the new answer"),
      figure("Paraphrases", held(rows, "paraphrase"), "Other ways to ask that get the new answer"),
      figure("Neighbours", held(rows, "neighbor"), "Questions about others that keep their answer"),
      figure("Unrelated", drift.prompts > 0 ? `${percent(drift.same)} same` : "–", `Of ${plural(drift.prompts, "unrelated prompt")}, those answered as before`),
      figure("Drift", drift.prompts > 0 ? `${short(drift.kl, 2)} nats` : "–", "Mean Kullback-Leibler divergence on the unrelated prompts"),
      figure("Time", duration(seconds), "Asking both models")),
    ...edits.map((e) => el("details", { open: edits.length === 1 },
      el("summary", {}, `${e.rows[0].prompt} · ${e.editor} `, verdict(e.rows[0].held === true)), table(e.rows, e.editor))),
  ];
}

const missing = (report, name) => report.missing?.includes(name);

/** A mean with half its 95 % band. */
function mean({ mean: m, band }, digits = 3) {
  return band > 0 ? `${m.toFixed(digits)} ±${band.toFixed(digits)}` : m.toFixed(digits);
}

/** What an editor does on data. */
function evaluated(report) {
  const share = (name) => (missing(report, name) ? "–" : percent(report[name]));
  const lines = Object.values(report.metrics).filter((f) => !f.name.includes(".")).map((f) => el("tr", {},
    el("th", { scope: "row" }, f.name), el("td", {}, mean(f)), el("td", {}, String(f.cases))));
  return [
    el("h3", {}, `${report.editor} on ${plural(report.n, "edit")} of ${report.data}`),
    el("dl", { class: "figures" },
      figure("Reliability", share("reliability"), "Edits whose prompt gets the new answer, every token of it"),
      figure("Generalization", share("generalization"), "Paraphrases that get the new answer"),
      figure("Locality", share("locality"), "Answers to other questions that stay"),
      figure("Drift there", missing(report, "locality") ? "–" : `${short(report.locality_kl, 2)} nats`, "Kullback-Leibler divergence at the answers that are to stay"),
      figure("An edit takes", duration(report.edit_seconds), "Mean time of making one")),
    ...(report.notes ?? []).map((n) => el("p", { class: "hint" }, n)),
    ...(report.dropped ?? []).map((d) => el("p", { class: "reason" }, `${plural(d.count, "edit")} left out: ${d.reason}`)),
    el("details", {}, el("summary", {}, `All ${lines.length} figures`),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All figures" }, el("table", { class: "numbers" },
        el("thead", {}, el("tr", {}, ...["Figure", "Mean, with 95 % band", "Edits"].map((h) => el("th", { scope: "col" }, h)))),
        el("tbody", {}, ...lines)))),
  ];
}

async function measure() {
  error.textContent = "";
  fieldError(limit, "");
  const own = data.value === kept;
  if (!own && !limit.checkValidity()) {
    fieldError(limit, `From ${limit.min} to ${limit.max}, please.`);
    limit.focus();
    return;
  }
  const edits = document.querySelector("[name=measure-model]:checked").value === "on";
  try {
    const result = own
      ? await work.run("check", {})
      : await work.run("eval", { data: data.value, editor: editor.value, limit: limit.valueAsNumber, edits });
    if (result === null) {
      return;
    }
    place.replaceChildren(el("article", { class: "card" }, ...(own ? checked(result) : evaluated(result))));
    announce("Measured");
    show(place);
  } catch (err) {
    error.textContent = err.message;
  }
}

// the choices fit what there is: without a kept edit that is on, data alone
function fit() {
  const choice = data.options[0];
  choice.disabled = store.on === 0;
  choice.textContent = store.on === 0 ? "The kept edits (none is on)" : `The kept edits (${store.on} on)`;
  if (choice.disabled ? choice.selected : !chosen) {
    data.selectedIndex = choice.disabled ? 1 : 0;
  }
  byId("measure-by").hidden = data.value === kept;
  byId("measure-model").hidden = data.value === kept || store.on === 0;
}

/** Opens the room. */
export function openMeasure() {
  work = new Work(byId("measure-work"), "Measuring");
  data.replaceChildren(el("option", { value: kept }, ""), ...store.status.data.map((name) => el("option", { value: name }, `An editor on edits of ${name}`)));
  const { editors } = store.status;
  editor.replaceChildren(...editors.map(({ name }) => el("option", { value: name }, name)));
  editor.value = (editors.find((e) => e.default) ?? editors[0]).name;
  place.replaceChildren(el("p", { class: "empty" }, "The figures stand here, with every prompt behind them."));
  data.addEventListener("change", () => {
    chosen = true;
    fit();
  });
  byId("measure-form").addEventListener("submit", (e) => {
    e.preventDefault();
    measure();
  });
  store.watch("edits", fit);
}
