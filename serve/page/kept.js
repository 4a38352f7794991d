// Kept edits: a list that is applied from its top. Edits are switched, moved and
// deleted, and every such step can be undone.

import { announce, byId, el, percent, plural } from "./dom.js";
import { get, part, patch, post, remove } from "./api.js";
import { store } from "./store.js";

const list = byId("kept-list");
const empty = byId("kept-empty");
const error = byId("kept-error");
const undoButton = byId("kept-undo");
const undoWhat = byId("kept-undo-what");
const patience = 10_000; // milliseconds in which a deleted edit can be had back

let steps = []; // that can be undone, the latest last: {name, id of the edit, undo}
let going = []; // deleted here, and soon at the server: {edit, at, timer}
let queue = Promise.resolve();

const path = (edit) => `edits/${part(edit.id)}`;
const title = ({ request }) => `${request.prompt} → ${request.target}`;
const find = (id) => store.edits.find((e) => e.id === id);
const others = (id) => store.edits.filter((e) => e.id !== id);

// one change after the other, each shown if it fails; what the server has then
// is what the list shows
function change(f) {
  queue = queue.then(async () => {
    try {
      await f();
      error.textContent = "";
    } catch (err) {
      error.textContent = err.message;
      await reload().catch(() => {});
    }
  });
  return queue;
}

async function reload() {
  const { edits } = await get("edits");
  store.setEdits(edits.filter((e) => !going.some((g) => g.edit.id === e.id)));
}

function remember(name, id, undo) {
  steps.push({ name, id, undo });
  showUndo();
}

function showUndo() {
  const last = steps.at(-1);
  undoButton.disabled = !last;
  undoWhat.textContent = last ? last.name : "";
}

async function turn(edit, on) {
  const now = await patch(path(edit), { on });
  store.setEdits(store.edits.map((e) => (e.id === now.id ? now : e)));
}

async function order(edits) {
  const all = [...edits, ...going.map((g) => g.edit)];
  await post("edits/order", { ids: all.map((e) => e.id) });
  store.setEdits(edits);
}

function move(edit, to) {
  const before = store.edits;
  const from = before.indexOf(edit);
  if (to < 0 || to >= before.length || to === from) {
    return;
  }
  const after = others(edit.id);
  after.splice(to, 0, edit);
  change(async () => {
    await order(after);
    announce(`${title(edit)}: place ${to + 1} of ${after.length}`);
    remember("the move", edit.id, () => order(before.map((e) => find(e.id)).filter((e) => e)));
  });
}

// deletes an edit: it is switched off and out of sight at once, and gone for good
// when nobody has asked for it for a while
function drop(edit, name = `deleting “${title(edit)}”`) {
  return change(async () => {
    const at = store.edits.findIndex((e) => e.id === edit.id);
    if (edit.on) {
      await patch(path(edit), { on: false });
    }
    const gone = { edit, at };
    gone.timer = setTimeout(() => settle(gone), patience);
    going.push(gone);
    store.setEdits(others(edit.id));
    announce(`Deleted: ${title(edit)}. Undo is possible for ${patience / 1000} seconds.`);
    remember(name, edit.id, () => restore(gone));
  });
}

async function restore(gone) {
  clearTimeout(gone.timer);
  going = going.filter((g) => g !== gone);
  if (gone.edit.on) {
    await patch(path(gone.edit), { on: true });
  }
  const edits = [...store.edits];
  edits.splice(gone.at, 0, gone.edit);
  await order(edits);
}

function settle(gone) {
  change(async () => {
    if (!going.includes(gone)) {
      return; // it was wanted back
    }
    going = going.filter((g) => g !== gone);
    steps = steps.filter((s) => s.id !== gone.edit.id);
    showUndo();
    await remove(path(gone.edit));
  });
}

function undo() {
  const step = steps.pop();
  if (!step) {
    return;
  }
  change(async () => {
    await step.undo();
    announce(`Undone: ${step.name}`);
  });
  showUndo();
}

function item(edit, at, edits) {
  const name = title(edit);
  const button = (text, label, click, off) => el("button", { type: "button", class: "quiet", "aria-label": `${label}: ${name}`, title: label, disabled: off, click, "data-act": label }, text);
  const toggle = el("input", { type: "checkbox", role: "switch", checked: edit.on, "aria-label": `On: ${name}`, change: () => {
    const on = toggle.checked;
    change(async () => {
      await turn(edit, on);
      announce(`${name}: ${on ? "on" : "off"}`);
      remember(on ? "switching on" : "switching off", edit.id, () => turn(edit, !on));
    });
  } });
  const node = el("li", { class: edit.on ? null : "off", draggable: "true", "data-id": edit.id },
    el("span", { class: "grip", "aria-hidden": "true" }, "⠿"),
    el("label", { class: "switch" }, toggle, el("span", {})),
    el("div", { class: "kept-what" },
      el("p", {}, edit.request.prompt, " ", el("strong", {}, edit.request.target)),
      el("p", { class: "hint" }, `${edit.editor} · ${edit.held ? "held" : "did not hold"} · ${percent(edit.drift.same)} of unrelated prompts as before`)),
    el("div", { class: "kept-do" },
      button("↑", "Move up", () => move(edit, at - 1), at === 0),
      button("↓", "Move down", () => move(edit, at + 1), at === edits.length - 1),
      button("Delete", "Delete", () => drop(edit))));
  node.addEventListener("dragstart", (e) => {
    e.dataTransfer.setData("text/plain", edit.id);
    e.dataTransfer.effectAllowed = "move";
    node.classList.add("dragged");
  });
  node.addEventListener("dragend", () => node.classList.remove("dragged"));
  node.addEventListener("dragover", (e) => e.preventDefault());
  node.addEventListener("drop", (e) => {
    e.preventDefault();
    const moved = find(e.dataTransfer.getData("text/plain"));
    if (moved) {
      move(moved, at);
    }
  });
  return node;
}

// draws the list anew; the focus stays on the button that was used, or near it
function draw() {
  const focused = document.activeElement?.closest?.("#kept-list li");
  const act = document.activeElement?.dataset?.act;
  const isSwitch = document.activeElement?.getAttribute?.("role") === "switch";
  list.replaceChildren(...store.edits.map(item));
  empty.hidden = store.edits.length > 0;
  byId("kept-count").textContent = String(store.edits.length);
  byId("kept-count").setAttribute("aria-label", plural(store.edits.length, "edit"));
  if (!focused) {
    return;
  }
  const same = [...list.children].find((n) => n.dataset.id === focused.dataset.id);
  const wanted = same && (isSwitch ? same.querySelector("input") : [...same.querySelectorAll("button:enabled")].find((b) => b.dataset.act === act) ?? same.querySelector("button:enabled"));
  (wanted ?? undoButton).focus();
}

/** Opens the room. */
export function openKept() {
  undoButton.addEventListener("click", undo);
  store.watch("edits", draw);
  store.addEventListener("kept", () => {
    const edit = store.edits.at(-1);
    remember(`keeping “${title(edit)}”`, edit.id, () => {
      drop(find(edit.id), "taking it back");
    });
    announce(`Kept: ${title(edit)}`);
  });
  addEventListener("pagehide", () => {
    for (const { edit } of going) { // nobody can ask for them any more
      fetch(`api/v1/${path(edit)}`, { method: "DELETE", keepalive: true, headers: { "Content-Type": "application/json" }, body: "{}" });
    }
  });
}
