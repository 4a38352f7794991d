// Training runs: their curves, which grow while a run goes on.

import { byId, el, later, short } from "./dom.js";
import { eventsOf, get, part } from "./api.js";
import { Chart } from "./chart.js";

const place = byId("curves");
const error = byId("runs-error");

let watched = null; // the run that is shown: {name, lines, source}
let drawn = [];

function choice(run) {
  const state = run.running ? "runs" : run.step >= run.steps ? "done" : "stopped";
  return el("label", { class: "choice" },
    el("input", { type: "radio", name: "run", value: run.name, change: () => watch(run) }),
    el("span", {}, el("strong", {}, run.name), el("span", { class: "hint" }, ` ${run.editor} · ${run.step} of ${run.steps} steps · ${state}`)));
}

/** Lines by kind and step: one that comes again, after a resume, replaces the old. */
class Lines {
  #by = { train: new Map(), val: new Map() };

  add(line, kind = line.kind) {
    this.#by[kind]?.set(line.step, line);
  }

  of(kind, key) {
    return [...this.#by[kind].values()].filter((l) => Number.isFinite(l[key])).map((l) => [l.step, l[key]]).sort((a, b) => a[0] - b[0]);
  }

  last(kind) {
    return [...this.#by[kind].values()].reduce((a, b) => (a && a.step > b.step ? a : b), null);
  }
}

// means of so many neighbours that at most some hundred points are drawn
function smooth(points, most = 200) {
  const size = Math.max(1, Math.ceil(points.length / most));
  const out = [];
  for (let i = 0; i < points.length; i += size) {
    const some = points.slice(i, i + size);
    out.push([some.at(-1)[0], some.reduce((sum, p) => sum + p[1], 0) / some.length]);
  }
  return out;
}

function draw() {
  const { lines } = watched;
  const series = (key) => [
    { name: "training", style: "first", points: smooth(lines.of("train", key)) },
    { name: "validation", style: "second", points: smooth(lines.of("val", key)) },
  ].filter((s) => s.points.length > 0);
  drawn[0].draw(series("loss"));
  drawn[1].draw(series("edit_acc"));
  const last = lines.last("train");
  const val = lines.last("val");
  watched.note.textContent = last
    ? `Step ${last.step}: loss ${short(last.loss)}${val ? `, at validation ${short(val.loss)}` : ""}`
    : "No step yet";
}

async function watch(run) {
  watched?.source?.close();
  drawn.forEach((c) => c.close());
  const mine = watched = { name: run.name, lines: new Lines(), note: el("p", { class: "readout" }) };
  drawn = [new Chart("Loss", { log: true }), new Chart("Share of edits that stand", { share: true })];
  place.replaceChildren(mine.note, el("div", { class: "charts" }, ...drawn.map((c) => c.node)));
  try {
    error.textContent = "";
    const { train, val, next } = await get(`runs/${part(run.name)}/log`);
    if (watched !== mine) {
      return;
    }
    train.forEach((l) => mine.lines.add(l, "train"));
    val.forEach((l) => mine.lines.add(l, "val"));
    draw();
    const soon = later(100, () => watched === mine && draw());
    mine.source = eventsOf(`runs/${part(run.name)}`, `?after=${next}`);
    mine.source.addEventListener("line", (e) => {
      mine.lines.add(JSON.parse(e.data));
      soon();
    });
  } catch (err) {
    error.textContent = err.message;
  }
}

/** Opens the room. */
export async function openRuns() {
  const list = byId("runs-list");
  try {
    const { runs } = await get("runs");
    list.replaceChildren(...runs.map(choice));
    place.replaceChildren(el("p", { class: "empty" }, runs.length > 0
      ? "Choose a run to see its curves."
      : "No runs here. keyhole serve --runs FOLDER shows those of a folder."));
    const going = runs.findIndex((r) => r.running);
    if (going >= 0) {
      list.querySelectorAll("input")[going].click();
    }
  } catch (err) {
    error.textContent = err.message;
  }
}
