// Marks on their way to the server. Each batch is an item of its own in localStorage until the server has said that it is
// on the disk: so a reload, a closed tab or a server that is away loses none, and two tabs never overwrite each other's.
// The server knows a batch by its id, and applies it once, however often it comes.

const randomId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const storedJson = (storage, key, otherwise) => {
  try {
    return JSON.parse(storage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise; // no storage in this browser, or nonsense in it
  }
};

const storeJson = (storage, key, value) => {
  try {
    storage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
};

class Outbox {
  constructor(annotator, data) {
    this.prefix = `odits-outbox/${encodeURIComponent(annotator)}/${encodeURIComponent(data)}/`;
    this.entries = new Map(); // by key, in the order in which they were made
    this.kept = true; // false where the browser stores nothing: then a reload would lose what is not saved
    this.last = 0;
    this.reload();
  }

  // Take over what lies in the browser: what other tabs added, and what they got saved.
  reload() {
    if (!this.kept) return;
    try {
      const keys = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix)).sort();
      const found = keys.map((key) => [key, storedJson(localStorage, key, null)]);
      this.entries = new Map(found.filter(([, entry]) => entry && typeof entry.id === "string"));
    } catch {
      this.kept = false;
    }
  }

  add(entry) {
    this.last = Math.max(this.last + 1, Date.now()); // a clock that goes backwards upsets no order
    const key = `${this.prefix}${String(this.last).padStart(15, "0")}-${entry.id}`;
    this.entries.set(key, entry);
    this.kept = storeJson(localStorage, key, entry) && this.kept;
  }

  remove(ids) {
    for (const [key, entry] of [...this.entries]) {
      if (!ids.has(entry.id)) continue;
      this.entries.delete(key);
      try {
        localStorage.removeItem(key);
      } catch {
        this.kept = false;
      }
    }
  }

  of(image) {
    return this.all().filter((entry) => entry.image === image);
  }

  all() {
    return [...this.entries.values()];
  }

  get marks() {
    return this.all().reduce((sum, entry) => sum + Object.keys(entry.after).length, 0);
  }
}

// What was done in this tab and can be taken back; it outlives a reload.
class Past {
  constructor(annotator, data) {
    this.key = `odits-past/${annotator}/${data}`;
    const { session, done, undone } = storedJson(sessionStorage, this.key, {});
    this.session = typeof session === "string" ? session : randomId();
    this.done = Array.isArray(done) ? done : [];
    this.undone = Array.isArray(undone) ? undone : [];
  }

  push(step) {
    this.done.push(step);
    this.undone = [];
    this.keep();
  }

  keep() {
    this.done = this.done.slice(-1000);
    storeJson(sessionStorage, this.key, { session: this.session, done: this.done, undone: this.undone });
  }
}
