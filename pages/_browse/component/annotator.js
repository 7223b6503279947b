// One picture after the other with its words: what is held here, what a person does, and what goes to the server.

const VERDICTS = { right: ["✓", "right"], wrong: ["✗", "wrong"], unsure: ["?", "unsure"], skipped: ["–", "skipped"] };
const HELD = 24; // pictures that stay here
const SENT = 40; // batches in one message
const PATIENCE = 5000; // milliseconds after which a message is sent again

const count = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;

class Annotator {
  constructor(root) {
    this.root = root;
    this.keys = new Keys();
    this.cards = new Map();
    this.base = new Map(); // marks as the server has them, by picture
    this.queue = { key: "", names: [], done: [] };
    this.places = new Map();
    this.suggestions = { key: "", words: [] };
    this.at = 0;
    this.row = 0;
    this.nonce = 0;
    this.flying = null; // the number of the message that is not answered yet
    this.dirty = false;
    this.finished = []; // when pictures were finished, for the pace
    this.refused = new Map();
    this.remarks = [];
    this.view = new View(this);
  }

  // What the server says.

  take(data, send) {
    this.data = data;
    this.post = send;
    if (!this.outbox || this.person !== `${data.annotator}/${data.data}`) {
      this.person = `${data.annotator}/${data.data}`;
      this.outbox = new Outbox(data.annotator, data.data);
      this.past = new Past(data.annotator, data.data);
      this.base.clear();
      this.queue = { key: "", names: [], done: [] };
      this.dirty = true;
    }
    if (data.suggestions.words) this.suggestions = data.suggestions;
    this.#takeQueue(data);
    for (const [name, card] of Object.entries(data.cards)) this.#hold(name, card);
    for (const [name, marks] of Object.entries(data.marks)) this.base.set(name, marks);
    this.#countDone([...Object.keys(data.marks), ...this.outbox.all().map((entry) => entry.image)]);
    this.outbox.remove(new Set(data.saved));
    for (const id of data.saved) this.refused.delete(id);
    for (const [id, why] of data.refused) this.refused.set(id, why);
    if (data.remarks.length) this.remarks = data.remarks;
    if (this.flying !== null && data.echo === `${this.past.session}/${this.flying}`) {
      this.flying = null;
      this.tries = 0;
    }
    this.view.draw();
    this.#ask();
  }

  #takeQueue({ queue, at }) {
    if (!queue.names) return;
    // a server that was started again makes the same queue anew: the person stays where they are
    const renewed = queue.made_for !== this.queue.madeFor;
    const here = this.name;
    this.queue = { key: queue.key, madeFor: queue.made_for, names: queue.names, done: [...queue.done].map((flag) => flag === "1") };
    this.places = new Map(queue.names.map((name, place) => [name, place]));
    this.at = (renewed ? undefined : this.places.get(here)) ?? this.places.get(at) ?? 0;
    if (!renewed) return;
    this.cards.clear();
    this.row = 0;
  }

  #countDone(names) {
    for (const name of names) {
      if (this.places.has(name)) this.queue.done[this.places.get(name)] = this.isDone(name);
    }
  }

  #hold(name, card) {
    card.image = element("img", { src: card.source, alt: "", draggable: false, decoding: "sync" });
    card.ready = card.image.decode().catch(() => {});
    this.cards.delete(name);
    this.cards.set(name, card);
    for (const other of this.cards.keys()) {
      if (this.cards.size <= HELD) break;
      if (other !== this.name) this.cards.delete(other);
    }
  }

  // What goes to the server: the latest state, one message at a time; what is not saved is sent until it is.

  #ask() {
    const missing = this.#ahead().some((name) => !this.cards.has(name));
    if (this.dirty || missing || this.outbox.all().some((entry) => !this.refused.has(entry.id))) this.send();
  }

  #ahead() {
    const { names, done } = this.queue;
    const unfinished = names.findIndex((_, place) => place > this.at && !done[place]);
    const near = names.slice(Math.max(0, this.at - 1), this.at + 4);
    return unfinished < 0 ? near : [...near, names[unfinished]];
  }

  send() {
    this.dirty = true;
    if (this.flying !== null && performance.now() - this.sentAt < PATIENCE) return;
    this.dirty = false;
    this.tries = (this.tries ?? 0) + 1;
    if (this.tries > 2) window.oditsRunPage?.();
    this.flying = ++this.nonce;
    this.sentAt = performance.now();
    this.post({
      echo: `${this.past.session}/${this.flying}`,
      queue: this.queue.key,
      suggestions: this.suggestions.key,
      held: [...this.cards.keys()],
      at: this.name ?? "",
      ask: this.asked ?? "",
      outbox: this.outbox.all().slice(0, SENT),
    });
  }

  // Once a second: send again what got no answer, and say so.
  tick() {
    const late = performance.now() - (this.sentAt ?? 0) >= PATIENCE;
    if (late && (this.outbox.marks || this.flying !== null)) this.send();
    this.view.drawStatus();
  }

  get late() {
    return this.flying !== null && (this.tries > 1 || performance.now() - this.sentAt > 2500);
  }

  // What is in view.

  get name() {
    return this.queue.names[this.at];
  }

  get card() {
    return this.cards.get(this.name);
  }

  // The marks of a picture: the server's, and over them what is on its way.
  marksOf(name) {
    const marks = { ...this.base.get(name) };
    for (const entry of this.outbox.of(name)) {
      for (const [word, mark] of Object.entries(entry.after)) {
        if (mark) marks[word] = mark;
        else delete marks[word];
      }
    }
    return marks;
  }

  // The words of the picture in view, each with its mark and its verdict so far; {about, mark, verdict, certain}.
  get words() {
    if (!this.card) return [];
    const marks = this.marksOf(this.name);
    const listed = this.data.mode === "typed" ? [] : this.card.words;
    const more = Object.keys(marks)
      .filter((word) => !listed.some((one) => one.word === word))
      .filter((word) => this.data.mode !== "typed" || marks[word].verdict === "right" || marks[word].added)
      .map((word) => this.card.words.find((one) => one.word === word) ?? { word });
    return [...listed, ...more].map((about) => {
      const mark = marks[about.word];
      const proposed = this.data.mode === "open" ? about.proposed : undefined;
      return { about, mark, verdict: mark?.verdict ?? proposed, box: mark?.box ?? null };
    });
  }

  isDone(name) {
    const card = this.cards.get(name);
    if (!card) return this.queue.done[this.places.get(name)] ?? false;
    const marks = this.marksOf(name);
    return card.words.every(({ word }) => marks[word]);
  }

  // What a person does.

  // Make a batch of marks: {word: mark, or null to remove it}.
  commit(after) {
    if (!this.card || !Object.keys(after).length) return;
    const before = this.marksOf(this.name);
    const step = { id: randomId(), image: this.name, after };
    step.before = Object.fromEntries(Object.keys(after).map((word) => [word, before[word] ?? null]));
    this.past.push(step);
    this.#put({ ...step, reverts: "" });
  }

  #put(entry) {
    const wasDone = this.isDone(entry.image);
    delete entry.before;
    this.outbox.add({ ...entry, session: this.past.session, shown: this.data.shown, data: this.data.data });
    const done = this.isDone(entry.image);
    this.#countDone([entry.image]);
    if (done && !wasDone) this.finished = [...this.finished, Date.now()].slice(-20);
    this.send();
  }

  // Take back the last step, or do it again: the same, with the two lists exchanged.
  revert(from, to) {
    const step = this.past[from].pop();
    if (!step) return this.say(from === "done" ? "There is nothing to undo." : "There is nothing to redo.");
    const back = { id: randomId(), image: step.image, after: step.before, before: step.after };
    this.past[to].push(back);
    this.past.keep();
    this.at = this.places.get(step.image) ?? this.at;
    this.#put({ ...back, reverts: step.id });
    this.say(from === "done" ? "Undone." : "Done again.");
  }

  mark(word, verdict, more = {}) {
    const { mark, about } = this.words.find((one) => one.about.word === word) ?? { about: { word } };
    const kept = { note: mark?.note ?? "", added: mark?.added ?? false, box: mark?.box ?? null };
    const probability = this.data.mode === "open" ? (about.probability ?? null) : null;
    return { ...kept, verdict, probability, ...more };
  }

  judge(row, verdict) {
    const one = this.words[row];
    if (!one) return;
    this.row = row;
    this.commit({ [one.about.word]: verdict ? this.mark(one.about.word, verdict) : null });
  }

  toggle(row) {
    const one = this.words[row];
    if (one) this.judge(row, one.verdict === "right" ? "wrong" : "right");
  }

  accept() {
    const marks = this.marksOf(this.name);
    const open = (this.card?.words ?? []).filter(({ word }) => !marks[word] || marks[word].verdict === "skipped");
    const verdict = (one) => (this.data.mode === "open" ? one.proposed : "wrong");
    this.commit(Object.fromEntries(open.map((one) => [one.word, this.mark(one.word, verdict(one))])));
    if (this.card) this.go(this.at + 1);
  }

  skip() {
    const marks = this.marksOf(this.name);
    const open = (this.card?.words ?? []).filter(({ word }) => !marks[word]);
    this.commit(Object.fromEntries(open.map(({ word }) => [word, this.mark(word, "skipped")])));
    if (this.card) this.go(this.at + 1);
  }

  go(place) {
    if (place < 0) return this.say("This is the first picture.");
    if (place >= this.queue.names.length) return this.sayWhatIsLeft();
    this.at = place;
    this.row = 0;
    this.said = "";
    this.send();
  }

  unfinished() {
    const { names } = this.queue;
    const places = names.map((_, step) => (this.at + 1 + step) % names.length);
    const place = places.find((one) => !this.isDone(names[one]));
    if (place === undefined) return this.sayWhatIsLeft();
    if (place === this.at) return this.say("No other picture is unfinished.");
    this.go(place);
  }

  sayWhatIsLeft() {
    const finished = this.queue.names.every((name) => this.isDone(name));
    const then = finished ? "Every picture here is finished: choose others under “Queue”." : "“Next unfinished” leads to what is left.";
    this.say(finished ? then : `This was the last picture. ${then}`);
  }

  add(typed) {
    const word = typed.trim().slice(0, 200);
    if (!word || !this.card) return;
    const same = (one) => one.localeCompare(word, undefined, { sensitivity: "base" }) === 0;
    const listed = [...this.card.words.map((one) => one.word), ...Object.keys(this.marksOf(this.name))].find(same);
    const known = listed ?? this.suggestions.words.find(same) ?? word;
    const isNew = !this.card.words.some((one) => one.word === known);
    this.commit({ [known]: this.mark(known, "right", isNew ? { added: true, probability: null } : {}) });
    this.row = Math.max(0, this.words.findIndex((one) => one.about.word === known));
    if (isNew) this.view.drawing = true;
  }

  place(box) {
    const one = this.words[this.row];
    if (!one || !this.card) return;
    const { width, height } = this.card;
    const [left, top] = [Math.min(Math.max(0, box[0]), width - 1), Math.min(Math.max(0, box[1]), height - 1)];
    const cut = [left, top, Math.min(box[0] + box[2], width) - left, Math.min(box[1] + box[3], height) - top];
    if (!cut.every(Number.isFinite) || cut[2] < 1 || cut[3] < 1) return this.say("A box has to lie in the picture.");
    const rounded = cut.map((value) => Math.round(value * 10) / 10);
    this.commit({ [one.about.word]: this.mark(one.about.word, one.verdict ?? "right", { box: rounded }) });
  }

  comment(note) {
    const one = this.words[this.row];
    if (one) this.commit({ [one.about.word]: this.mark(one.about.word, one.verdict ?? "unsure", { note }) });
  }

  dismissRefused() {
    this.outbox.remove(new Set(this.refused.keys()));
    this.refused.clear();
  }

  say(sentence) {
    this.said = sentence;
  }

  get pace() {
    if (this.finished.length < 3) return "";
    const minutes = (this.finished.at(-1) - this.finished[0]) / 60000;
    return minutes > 0 ? `, ${Math.max(1, Math.round((this.finished.length - 1) / minutes))} a minute` : "";
  }

  act(action) {
    const started = performance.now();
    const before = this.name;
    const does = {
      accept: () => this.accept(),
      skip: () => this.skip(),
      previous: () => this.go(this.at - 1),
      next: () => this.go(this.at + 1),
      unfinished: () => this.unfinished(),
      up: () => (this.row = Math.max(0, this.row - 1)),
      down: () => (this.row = Math.max(0, Math.min(this.words.length - 1, this.row + 1))),
      toggle: () => this.toggle(this.row),
      unsure: () => this.judge(this.row, "unsure"),
      remove: () => this.judge(this.row, null),
      undo: () => this.revert("done", "undone"),
      redo: () => this.revert("undone", "done"),
      overlay: () => (this.view.hidden = !this.view.hidden),
      box: () => (this.view.drawing = !this.view.drawing),
      add: () => this.view.openField("add"),
      comment: () => this.view.openField("comment"),
      sheet: () => this.view.openSheet(),
    };
    if (["accept", "skip", "previous", "next", "unfinished"].includes(action)) this.view.closeField();
    does[action]?.();
    this.view.draw();
    if (this.name !== before) this.view.measure(started);
  }
}
