// The page: its rooms begin when the server has said what it has.

import { announce, byId, compact, count } from "./dom.js";
import { get } from "./api.js";
import { store } from "./store.js";
import { openAsk } from "./ask.js";
import { openFact } from "./fact.js";
import { openTrials } from "./trials.js";
import { openKept } from "./kept.js";
import { openExport } from "./export.js";
import { openMeasure } from "./measure.js";
import { openTrace } from "./trace.js";
import { openRuns } from "./runs.js";
import { openReports } from "./reports.js";

const trouble = byId("trouble");

// what nobody has caught is shown, not lost
addEventListener("unhandledrejection", (e) => {
  trouble.textContent = e.reason?.message ?? String(e.reason);
});

function showModel() {
  const { name, architecture, blocks, parameters } = store.status.model;
  byId("model").textContent = `${name} · ${blocks} blocks · ${compact(parameters)} parameters`;
  byId("model").title = `${name} · ${architecture} · ${blocks} blocks · ${count(parameters)} parameters`;
  document.title = `Keyhole · ${name}`;
}

async function begin() {
  store.status = await get("status");
  const { edits } = await get("edits");
  store.setEdits(edits);
  showModel();
  const trials = openTrials();
  openFact(trials);
  openAsk();
  openKept();
  openExport();
  openMeasure();
  openTrace();
  openReports();
  openRuns();
  announce("Ready");
  document.documentElement.dataset.ready = "true";
}

begin().catch((err) => {
  trouble.textContent = err.message;
});
