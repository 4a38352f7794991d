// What the rooms of the page share. A room that changes something says so by an
// event of its name: "edits", "kept" (one more), "fact", "layer".

class Store extends EventTarget {
  status = null; // what GET status told when the page was opened
  edits = []; // in the order in which they are applied
  fact = { prompt: "", subject: "", target: "" };
  layer = null; // the block that ROME shall edit; null: its own

  #say(name) {
    this.dispatchEvent(new Event(name));
  }

  setEdits(edits) {
    this.edits = edits;
    this.#say("edits");
  }

  /** One more edit was kept, behind the others. */
  kept(edit) {
    this.setEdits([...this.edits, edit]);
    this.#say("kept");
  }

  setFact(fact) {
    this.fact = fact;
    this.#say("fact");
  }

  setLayer(layer) {
    this.layer = layer;
    this.#say("layer");
  }

  /** How many edits are on. */
  get on() {
    return this.edits.filter((e) => e.on).length;
  }

  /** Calls f now and whenever something of this name changes. */
  watch(name, f) {
    this.addEventListener(name, f);
    f();
  }
}

export const store = new Store();
