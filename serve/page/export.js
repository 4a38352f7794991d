// Export: the edits that are on, as files that are downloaded.

import { announce, byId, el, size } from "./dom.js";
import { store } from "./store.js";
import { Work } from "./work.js";

const error = byId("kept-error");
const done = byId("export-done");
const buttons = [...document.querySelectorAll("[data-format]")];

let work;

async function write(format) {
  error.textContent = "";
  done.replaceChildren();
  buttons.forEach((b) => { b.disabled = true; });
  try {
    const file = await work.run("export", { format });
    if (file === null) {
      return;
    }
    const link = el("a", { href: file.download, download: file.name }, file.name);
    done.replaceChildren("Written: ", link, ` (${size(file.bytes)})`);
    announce(`Written: ${file.name}`);
    link.click();
  } catch (err) {
    error.textContent = err.message;
  } finally {
    allow();
  }
}

function allow() {
  const { gguf } = store.status.model;
  for (const b of buttons) {
    const missing = b.dataset.format === "gguf" && gguf === false;
    b.disabled = store.on === 0 || missing || work.busy;
    b.title = missing ? "Only a model that was opened from a GGUF file can be written as one" : "";
  }
}

/** Opens the row of buttons. */
export function openExport() {
  work = new Work(byId("export-work"), "Exporting");
  buttons.forEach((b) => b.addEventListener("click", () => write(b.dataset.format)));
  store.watch("edits", allow);
}
